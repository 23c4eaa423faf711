"""The wire contract: what travels over HTTP, over the queue, and between a worker and its runner. pydantic only."""

from api_schemas.answers import read_answer
from api_schemas.estimates import Estimate
from api_schemas.events import Event, EventList, ProgressPoint
from api_schemas.jobs import (
    TERMINAL_STATES,
    Acceptance,
    ArtifactList,
    ArtifactRef,
    Budget,
    CompressSpec,
    Job,
    JobErrorInfo,
    JobList,
    JobSpec,
    JobState,
    LayerReport,
    Measured,
    Metric,
    Phase,
    Progress,
    Result,
    Sandbox,
    Search,
    WeightHistogram,
)
from api_schemas.problems import FieldProblem, Problem
from api_schemas.queue import JobMessage
from api_schemas.uploads import Inspection, InspectionInput, InspectionLayer, Upload, UploadRequest

__all__ = [
    "TERMINAL_STATES",
    "Acceptance",
    "ArtifactList",
    "ArtifactRef",
    "Budget",
    "CompressSpec",
    "Estimate",
    "Event",
    "EventList",
    "FieldProblem",
    "Inspection",
    "InspectionInput",
    "InspectionLayer",
    "Job",
    "JobErrorInfo",
    "JobList",
    "JobMessage",
    "JobSpec",
    "JobState",
    "LayerReport",
    "Measured",
    "Metric",
    "Phase",
    "Problem",
    "Progress",
    "ProgressPoint",
    "Result",
    "Sandbox",
    "Search",
    "Upload",
    "UploadRequest",
    "WeightHistogram",
    "read_answer",
]

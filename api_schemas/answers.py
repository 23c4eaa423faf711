"""Reading answers of a service that may be newer than its client.

What is sent is held to the contract: an unknown field or word is refused. An answer is read with patience: a state, a
phase or a kind of event that is not known here is kept as it was said, and a field that is not known is passed over.
One schema serves both; the reading says which it is.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar

from pydantic import BaseModel, GetCoreSchemaHandler, ValidationInfo, ValidatorFunctionWrapHandler
from pydantic_core import CoreSchema, core_schema

M = TypeVar("M", bound=BaseModel)
_FROM_A_SERVICE: Final = {"answer_of_a_service": True}


def read_answer(model: type[M], text: bytes | str) -> M:
    """The JSON of a service as a model of the wire contract.

    Raises:
        ValidationError: it is not, even with patience.
    """
    return model.model_validate_json(text, extra="ignore", context=_FROM_A_SERVICE)


def is_answer(info: ValidationInfo) -> bool:
    """Whether this is `read_answer` and not a check of what somebody sent."""
    return info.context is _FROM_A_SERVICE


class OrNewer:
    """Marks a `Literal` of the contract: in an answer any other string is kept as it is.

    The static type stays the literal: only clients meet other words, and they compare with those that they know.
    """

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:  # noqa: ANN401  any type
        """Wrap the literal; written out it is a plain string, known or not."""
        return core_schema.with_info_wrap_validator_function(
            _known_or_newer, handler(source), serialization=core_schema.simple_ser_schema("str")
        )


def _known_or_newer(value: object, known: ValidatorFunctionWrapHandler, info: ValidationInfo) -> object:
    return value if is_answer(info) and isinstance(value, str) else known(value)

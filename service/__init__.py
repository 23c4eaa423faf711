"""The HTTP front end: uploads, jobs, events, artifacts and health. It never imports torch, and never the workers."""

"""Former name of ``components/cleanup_on_destroy.py``, which the state of older stacks refers to on `destroy`."""

from components.cleanup_on_destroy import CleanupOnDestroyProvider as FinalJobs

__all__ = ["FinalJobs"]

"""One machine as a rehearsal room: a real Kubernetes, registry and Docker Engine, gone without a trace after `down`."""

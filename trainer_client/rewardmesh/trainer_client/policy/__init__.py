"""The policy: the model that is trained, how it reads, samples, and is warmed up."""

"""What all tests share: hypothesis without a deadline, since a busy machine is no fault in the code, and a seed that repeats."""

from hypothesis import settings

settings.register_profile("outrider", deadline=None, print_blob=True)
settings.load_profile("outrider")

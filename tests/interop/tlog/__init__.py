"""One of our logs, read by others' code: golang.org/x/mod, by hand (`make interop-log`; needs go)."""

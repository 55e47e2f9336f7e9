"""Reading and writing files safely.

atomic
    Atomic writes, limited reads of regular files, and printable file names.
locks
    One writer at a time.
json_fields
    Typed access to untrusted JSON.
"""

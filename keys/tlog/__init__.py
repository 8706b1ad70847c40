"""The transparency log as log, auditor and witness agree on it: RFC 6962 hashing in the C2SP formats.

From the leaf up: `merkle` hashes and proves, `edge` grows a tree by tiles, `tile` names them and `entry` packs what they
cover; `note` signs a text, `checkpoint` is the text a log signs, `cosignature` what others add to it, `policy` who of them is
enough, `witness` how they are asked; `proof` is one entry's place under a checkpoint in a file; `reader` reads a whole log and
believes none of it; `succession` is what a log says that takes the place of one that could not go on.

Everything here is a function of its arguments. Every error is a `TlogError`.
"""

"""Every decoder under bytes that nobody has written: only its own error comes out, and one value has one encoding.

    targets    what is fuzzed: a decoder, its errors, its way back, and a second reading where there is one
    plain      second readings, written from the standards with nothing of ours
    seeds      where a fuzzer begins: goldens and samples of our own making
    found/     inputs that were faults once, one file each; the suite replays them for ever

The fast suite gives each target its seeds, what was found, and some hundred seeded changes of them (`test_targets`). `make fuzz`
runs atheris (libFuzzer) over each in turn, for so many seconds; what it finds goes to found/.
"""

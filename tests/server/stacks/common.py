"""What the Python scripts of this folder share."""


def expect(what, got, wanted):
    if got != wanted:
        raise SystemExit(f"{what}: expected {wanted!r}, got {got!r}")

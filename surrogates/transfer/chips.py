"""Which columns speak of one chip, so that none of them helps to predict another.

A chip is a die: devices that carry the same one are left out together, whatever the batch, the engine, the
precision, the processor on it or who republished the numbers. Devices that are not listed stand alone; a
device that several sources measured has one name in the catalogue (OneProxy's HW-NAS-Bench columns are
pixel3, raspi4, eyeriss, fpga, edgetpu and jetson_tx2; HELP's and LatBench's duplicates likewise).
"""

from __future__ import annotations

#: Chip to its devices in the catalogue (which chip a device has is recalled, as the catalogue says).
CHIPS = {
    # The GeForce RTX 2080 Ti and the Titan RTX are two cuts of one die; at batch 256 they agree to .9995.
    "TU102": ("rtx_2080ti", "titan_rtx"),
    # Three cards of Nvidia's GP102 (HELP does not say which Titan X; the Pascal one has it); LatBench's file
    # of the i7-7820X may be a mislabelled GTX 1080 Ti.
    "GP102": ("gtx_1080ti", "titan_xp", "titan_x", "i7_7820x"),
    "Snapdragon 675": ("kryo_460", "adreno_612"),
    "Snapdragon 835": ("pixel2", "essential_ph_1"),
    "Snapdragon 845": ("pixel3", "adreno_630"),
    # OneProxy does not say which phone its Cortex-A76 is of; the Kryo 485 is made of such cores.
    "Snapdragon 855": ("kryo_485", "adreno_640", "hexagon_690", "cortex_a76"),
}
_CHIP_OF = {device: chip for chip, devices in CHIPS.items() for device in devices}


def chip_of(device: str) -> str:
    """Return the chip of a device; a device that shares its chip with no other is its own."""
    return _CHIP_OF.get(device, device)

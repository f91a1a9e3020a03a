#!/usr/bin/env python3
"""The rules of bench/kernels/sass_table.py, on machine code as nvdisasm prints it."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "bench" / "kernels"))
import sass_table  # noqa: E402

LOAD = "LDG.E.128 R12, desc[UR6][R2.64]"
SPLIT = ["STG.E desc[UR6][R28.64], R3", "STG.E desc[UR6][R28.64+0x4], R21",
         "STG.E desc[UR6][R28.64+0x8], R17", "STG.E desc[UR6][R28.64+0xc], R19"]


def code_of(lines):
    text = "\n".join(line if line.startswith(".") else f"        /*{at:04x}*/   {line} ;"
                     for at, line in enumerate(lines))
    return sass_table.disassemble(f'\t.section\t.text.kernel,"ax",@progbits\n{text}\n')["kernel"]


def expect(what, found, wanted):
    if found != wanted:
        sys.exit(f"machine_code_test: {what}: expected {wanted}, got {found}")


def main():
    split = lambda lines: code_of(lines).split_stores()
    expect("a store taken apart", split([LOAD, *SPLIT]), 1)
    expect("in another order, among others",
           split([LOAD, SPLIT[2], "FADD R3, R4, R5", SPLIT[0], "STG.E desc[UR6][R8.64+0x4], R3",
                  SPLIT[3], SPLIT[1]]), 1)
    expect("of bf16", split(["LDG.E.64 R2, desc[UR6][R2.64]", *(
        f"STG.E.U16 desc[UR6][R6.64+{offset:#x}], R3" for offset in (0, 2, 4, 6))]), 1)
    expect("two of them", split([LOAD, *SPLIT, *(s.replace("R28", "R4") for s in SPLIT)]), 2)
    expect("in a kernel for single values", split(["LDG.E R2, desc[UR6][R2.64]", *SPLIT]), 0)
    expect("with gaps", split([LOAD, *SPLIT[:2], SPLIT[3]]), 0)
    expect("a whole store", split([LOAD, "STG.E.128 desc[UR6][R28.64], R4"]), 0)
    expect("from another address each",
           split([LOAD, *(line for s in SPLIT for line in (s, "IADD3 R28, P0, R28, 0x8, RZ"))]), 0)
    expect("under predicates of their own",
           split([LOAD, *(f"@!P{k} {s}" for k, s in enumerate(SPLIT))]), 0)
    expect("a loop in between", split([LOAD, SPLIT[0], ".L_x_1:", SPLIT[1], "BRA `(.L_x_1)",
                                       SPLIT[2], SPLIT[3]]), 0)

    loops = code_of([".L_x_0:", "FADD R1, R1, R1", ".L_x_1:", "FMUL R1, R1, R1", "FMUL R1, R1, R1",
                     "@P0 BRA `(.L_x_1)", "@P1 BRA `(.L_x_0)", "EXIT", ".L_x_2:",
                     "BRA `(.L_x_2)", "NOP"])
    expect("the innermost loop", loops.longest_loop(), 3)
    expect("instructions", len(loops.instructions), 7)
    expect("widths", sass_table.text_of(code_of([LOAD, *SPLIT]).widths("LDG", "STG")),
           "128:1 32:4")
    # 80 registers of 256 threads: three blocks of 65536; 8 KB a block does not matter, 100 KB does.
    occupancy = sass_table.blocks_per_multiprocessor
    expect("blocks", [occupancy("sm_90", 80, 256, shared) for shared in (8192, 102400)], [3, 2])
    expect("full blocks", occupancy("sm_90", 32, 256, 0), 8)
    expect("a name", sass_table.plain_name(
        "void pal::cuda::_GLOBAL__N__d9a7_7_x_cu_7a58::kernel<(int)4, (bool)1>(pal::Job<(int)2>)"),
        "kernel<4, true>")


if __name__ == "__main__":
    main()

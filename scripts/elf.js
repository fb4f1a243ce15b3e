'use strict'
/** The sections of an ELF file of 64 bits, least significant byte first: what Linux has on x64 and arm64. */

const SYMTAB = 2

/**
 * @param {Buffer} elf
 * @returns {{ name: string, type: number, size: number }[]}
 */
function sectionsOf(elf) {
  const start = Number(elf.readBigUInt64LE(40))
  const [size, count, names] = [elf.readUInt16LE(58), elf.readUInt16LE(60), elf.readUInt16LE(62)]
  const header = (/** @type {number} */ index) => elf.subarray(start + index * size)
  const offset = Number(header(names).readBigUInt64LE(24))
  return Array.from({ length: count }, (_, index) => {
    const name = offset + header(index).readUInt32LE(0)
    return {
      name: elf.toString('latin1', name, elf.indexOf(0, name)),
      type: header(index).readUInt32LE(4),
      size: Number(header(index).readBigUInt64LE(32))
    }
  })
}

/** @param {Buffer} file */
const isElf = (file) => file.toString('latin1', 0, 4) === '\x7fELF'

/** No symbol table is among the sections. @param {Buffer} elf */
const isStripped = (elf) => sectionsOf(elf).every(({ type }) => type !== SYMTAB)

module.exports = { sectionsOf, isElf, isStripped }

'use strict'
/**
 * The checkout that is measured: its package, its release addon, its native programs. It need not be the one this file
 * lies in, so that one benchmark can measure the code before and after a change.
 */
const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const { createRequire } = require('node:module')
const path = require('node:path')

/** @typedef {{ file: string, bytes: number, stripped: boolean }} Build */

const quiet = /** @type {const} */ (['ignore', 'ignore', 'inherit'])

/** Whether an ELF file of 64 bits has no symbol table. @param {Buffer} elf */
function isStripped(elf) {
  const SYMBOL_TABLE = 2
  const [start, size, count] = [Number(elf.readBigUInt64LE(40)), elf.readUInt16LE(58), elf.readUInt16LE(60)]
  return Array.from({ length: count }, (_, index) => elf.readUInt32LE(start + index * size + 4)).every(
    (type) => type !== SYMBOL_TABLE
  )
}

class Checkout {
  /** @param {string} [directory] */
  constructor(directory = path.join(__dirname, '..')) {
    this.root = fs.realpathSync(directory)
    this.target = path.join(this.root, 'target')
    this.resolve = createRequire(path.join(this.root, 'package.json'))
  }

  /** The package as its users load it. @param {string} [subpath] */
  load(subpath) {
    return this.resolve(subpath === undefined ? 'countersign' : `countersign/${subpath}`)
  }

  get addonFile() {
    return path.join(this.root, 'countersign.linux-x64-gnu.node')
  }

  /** The addon itself: the same instance that the package uses. */
  addon() {
    return this.resolve(this.addonFile)
  }

  /** Builds the addon of a release into the checkout. */
  buildAddon() {
    if (!fs.existsSync(path.join(this.root, 'node_modules'))) {
      execFileSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: this.root, stdio: quiet })
    }
    execFileSync('npm', ['run', '--silent', 'build'], { cwd: this.root, stdio: quiet })
  }

  /** Builds the agent of a release, and examples of the crate. @param {string[]} examples */
  buildPrograms(examples) {
    const chosen = ['--bin', 'countersign-agent', ...examples.flatMap((name) => ['--example', name])]
    execFileSync('cargo', ['build', '--release', '-q', '-p', 'countersign', ...chosen, '--target-dir', this.target], {
      cwd: this.root,
      stdio: quiet
    })
  }

  get agent() {
    return path.join(this.target, 'release', 'countersign-agent')
  }

  /** @param {string} name */
  example(name) {
    return path.join(this.target, 'release', 'examples', name)
  }

  /**
   * What is measured. Figures of a build with symbols mislead: it was made for debugging or for tests.
   * @returns {Build}
   */
  build() {
    const elf = fs.readFileSync(this.addonFile)
    const build = { file: this.addonFile, bytes: elf.length, stripped: isStripped(elf) }
    if (!build.stripped) {
      throw new Error(`${build.file} is not stripped, so it is no release build: run npm run build in ${this.root}`)
    }
    return build
  }
}

module.exports = { Checkout, quiet }

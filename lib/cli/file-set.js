'use strict'
/**
 * Files that change together: who looks sees all of one moment or all of another, whenever this process dies.
 *
 * They lie in a directory of their own, to which one link points; replacing that link is the one step in which all of
 * them change. Under their names in the directory asked for there are links through it. (Kubernetes mounts secrets this
 * way.)
 */

const fs = require('node:fs')
const path = require('node:path')

/** Replaced files are kept a while for programs that are reading them. */
const KEPT = 60_000

/** @typedef {Record<string, { text: string, mode: number }>} Files by name */

class FileSet {
  #directory
  #current

  /**
   * @param {string} directory made if need be, if its parent is there
   * @param {string} name tells it from other sets in the same directory
   */
  constructor(directory, name) {
    this.#directory = directory
    this.#current = `..${name}`
  }

  /** Where the newest files are, all of one moment. */
  get path() {
    return path.join(this.#directory, this.#current)
  }

  /** @param {Files} files what there is from now on; others of this set are removed */
  publish(files) {
    if (!fs.existsSync(this.#directory)) fs.mkdirSync(this.#directory)
    const fresh = this.#newDirectory()
    try {
      for (const [name, { text, mode }] of Object.entries(files)) write(path.join(fresh, name), text, mode)
      sync(fresh)
      this.#link(path.basename(fresh), this.#current)
    } catch (error) {
      fs.rmSync(fresh, { recursive: true, force: true })
      throw error
    }
    for (const name of Object.keys(files)) {
      const target = path.join(this.#current, name)
      if (linkTarget(path.join(this.#directory, name)) !== target) this.#link(target, name)
    }
    this.#removeLinks((name) => !Object.hasOwn(files, name))
    sync(this.#directory)
    this.#removeOld(path.basename(fresh), KEPT)
  }

  /** Nothing is left of them. */
  remove() {
    if (linkTarget(this.path) === undefined) return
    fs.rmSync(this.path)
    this.#removeLinks(() => true)
    this.#removeOld('', 0)
    sync(this.#directory)
  }

  /** In the same directory, so that no other directory has to be trusted. */
  #newDirectory() {
    for (let attempt = 0; ; attempt++) {
      const made = path.join(this.#directory, `${this.#current}.${Date.now()}.${process.pid}.${attempt}`)
      try {
        fs.mkdirSync(made, 0o755)
        return made
      } catch (error) {
        if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EEXIST' || attempt > 100) throw error
      }
    }
  }

  /**
   * In one step, whatever was there before.
   * @param {string} target
   * @param {string} name
   */
  #link(target, name) {
    const temporary = path.join(this.#directory, `${this.#current}.link.${process.pid}`)
    fs.rmSync(temporary, { force: true })
    fs.symlinkSync(target, temporary)
    try {
      fs.renameSync(temporary, path.join(this.#directory, name))
    } catch (error) {
      fs.rmSync(temporary, { force: true })
      throw error
    }
  }

  /** @param {(name: string) => boolean} which */
  #removeLinks(which) {
    for (const name of fs.readdirSync(this.#directory)) {
      const at = path.join(this.#directory, name)
      if (which(name) && linkTarget(at) === path.join(this.#current, name)) fs.rmSync(at, { force: true })
    }
  }

  /**
   * Also what a process left behind that was killed.
   * @param {string} but
   * @param {number} age
   */
  #removeOld(but, age) {
    for (const name of fs.readdirSync(this.#directory)) {
      const made = Number(name.slice(this.#current.length + 1).split('.')[0])
      if (name === but || !name.startsWith(`${this.#current}.`) || !(Date.now() - made >= age)) continue
      fs.rmSync(path.join(this.#directory, name), { recursive: true, force: true })
    }
  }
}

/**
 * @param {string} file
 * @param {string} text
 * @param {number} mode
 */
function write(file, text, mode) {
  const fd = fs.openSync(file, 'wx', mode)
  try {
    fs.writeFileSync(fd, text)
    fs.fsyncSync(fd)
  } finally {
    fs.closeSync(fd)
  }
}

/** @param {string} directory */
function sync(directory) {
  const fd = fs.openSync(directory, 'r')
  try {
    fs.fsyncSync(fd)
  } finally {
    fs.closeSync(fd)
  }
}

/**
 * @param {string} file
 * @returns {string | undefined} undefined for what is no link
 */
function linkTarget(file) {
  try {
    return fs.readlinkSync(file)
  } catch {
    return undefined
  }
}

module.exports = { FileSet }

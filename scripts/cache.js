'use strict'
/** What is built or fetched once for all checkouts: ${XDG_CACHE_HOME:-~/.cache}/countersign. */
const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')

const cache = path.join(process.env.XDG_CACHE_HOME || path.join(os.homedir(), '.cache'), 'countersign')

/**
 * Packages of npm in a directory of their own, unless these very versions are there.
 * @param {string} name of the directory
 * @param {string[]} packages with their versions
 * @returns {string} the directory
 */
function installOnce(name, packages) {
  const directory = path.join(cache, name)
  const marker = path.join(directory, 'installed.json')
  if (fs.existsSync(marker) && fs.readFileSync(marker, 'utf8') === JSON.stringify(packages)) return directory
  fs.mkdirSync(directory, { recursive: true })
  const { status, stderr } = spawnSync(
    'npm',
    ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error', '--prefix', directory, ...packages],
    { encoding: 'utf8' }
  )
  if (status !== 0) throw new Error(`${packages.join(', ')} cannot be installed: ${stderr}`)
  fs.writeFileSync(marker, JSON.stringify(packages))
  return directory
}

module.exports = { cache, installOnce }

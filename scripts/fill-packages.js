'use strict'
/**
 * `node scripts/fill-packages.js DIRECTORY` copies the addons of a release from there into npm/, before they are
 * published.
 */
const fs = require('node:fs')
const path = require('node:path')
const { requireShippable } = require('./addon')
const { PLATFORMS } = require('./npm-packages')
const { digest, root } = require('./sources')

/**
 * Copies every addon into the folder of its package, if all are releases of the sources of this checkout.
 * @param {string} from a directory with the addons
 * @param {string} [to] the directory with the folders
 */
function fill(from, to = path.join(root, 'npm')) {
  const sources = digest()
  for (const { file } of PLATFORMS) requireShippable(path.join(from, file), sources)
  for (const { name, file } of PLATFORMS) fs.copyFileSync(path.join(from, file), path.join(to, name, file))
}

module.exports = { fill }

if (require.main === module) fill(process.argv[2])

'use strict'
/**
 * The packages that carry the addon, one a platform: npm installs the one that suits and nothing runs at installation.
 * `node scripts/npm-packages.js` writes their folders in npm/ and the exact versions the package asks for.
 */
const fs = require('node:fs')
const path = require('node:path')

const root = path.join(__dirname, '..')

/**
 * `run`: the smoke test runs on it, and it may be published without another look.
 * @typedef {{
 *   name: string, triple: string, file: string, os: string, cpu: string, libc?: 'glibc' | 'musl',
 *   says: string, run: boolean
 * }} Platform
 */

/** @type {readonly Platform[]} */
const PLATFORMS = [
  linux('x64', 'gnu'),
  linux('arm64', 'gnu'),
  linux('x64', 'musl'),
  linux('arm64', 'musl'),
  {
    name: 'darwin-x64',
    triple: 'x86_64-apple-darwin',
    file: 'darwin-x64',
    os: 'darwin',
    cpu: 'x64',
    says: 'macOS on Intel',
    run: false
  },
  {
    name: 'darwin-arm64',
    triple: 'aarch64-apple-darwin',
    file: 'darwin-arm64',
    os: 'darwin',
    cpu: 'arm64',
    says: 'macOS on Apple silicon',
    run: false
  },
  {
    name: 'win32-x64',
    triple: 'x86_64-pc-windows-msvc',
    file: 'win32-x64-msvc',
    os: 'win32',
    cpu: 'x64',
    says: 'Windows on x64',
    run: false
  },
  {
    name: 'win32-arm64',
    triple: 'aarch64-pc-windows-msvc',
    file: 'win32-arm64-msvc',
    os: 'win32',
    cpu: 'arm64',
    says: 'Windows on arm64',
    run: false
  }
].map((platform) => Object.freeze({ ...platform, file: `countersign.${platform.file}.node` }))

/**
 * @param {'x64' | 'arm64'} cpu
 * @param {'gnu' | 'musl'} c
 * @returns {Platform}
 */
function linux(cpu, c) {
  const name = `linux-${cpu}-${c}`
  const says = `Linux on ${cpu}, ${c === 'gnu' ? 'glibc 2.17 or newer' : 'musl 1.2 or newer'}`
  return {
    name,
    triple: `${cpu === 'x64' ? 'x86_64' : 'aarch64'}-unknown-linux-${c}`,
    file: name,
    os: 'linux',
    cpu,
    libc: c === 'gnu' ? 'glibc' : 'musl',
    says,
    run: true
  }
}

/** @param {Platform} platform */
const packageName = ({ name }) => `@countersign/${name}`

/**
 * @param {Platform} platform
 * @param {any} main the manifest of the package itself
 */
function manifest(platform, main) {
  return {
    name: packageName(platform),
    version: main.version,
    description: `The native addon of countersign for ${platform.says}.`,
    license: main.license,
    repository: { ...main.repository, directory: `npm/${platform.name}` },
    engines: main.engines,
    os: [platform.os],
    cpu: [platform.cpu],
    ...(platform.libc ? { libc: [platform.libc] } : {}),
    main: platform.file,
    files: [platform.file],
    publishConfig: { access: 'public', provenance: true }
  }
}

/** @param {Platform} platform */
const readme = (platform) => `# ${packageName(platform)}

The native addon of [countersign](https://github.com/countersign/countersign) for ${platform.says}.
\`npm install countersign\` installs it where it is needed; nobody has to ask for it by name.
`

/** @param {unknown} value */
const json = (value) => `${JSON.stringify(value, undefined, 2)}\n`

/** Every file that follows from the table and the version, with what has to be in it. */
function expected() {
  const main = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'))
  main.optionalDependencies = Object.fromEntries(PLATFORMS.map((platform) => [packageName(platform), main.version]))
  main.napi.targets = PLATFORMS.map(({ triple }) => triple)
  /** @type {[string, string][]} */
  const files = [['package.json', json(main)]]
  for (const platform of PLATFORMS) {
    files.push(
      [`npm/${platform.name}/package.json`, json(manifest(platform, main))],
      [`npm/${platform.name}/README.md`, readme(platform)]
    )
  }
  return files
}

module.exports = { PLATFORMS, packageName, expected, root }

if (require.main === module) {
  for (const [file, text] of expected()) {
    fs.mkdirSync(path.dirname(path.join(root, file)), { recursive: true })
    fs.writeFileSync(path.join(root, file), text)
  }
}

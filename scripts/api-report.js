'use strict'
/**
 * npm run api - writes api/, the public face without its documentation: a change of it shows in review as what it is,
 * and a test holds it. What is declared for each sub-path, what is there when it is loaded, and the commands.
 */
const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')

const root = path.join(__dirname, '..')

/**
 * The declarations without comments and empty lines.
 * @param {string} text
 */
function declarations(text) {
  const code = text.replace(/'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g, (token) =>
    token.startsWith('/*') || token.startsWith('//') ? '' : token
  )
  return code
    .split('\n')
    .map((line) => line.trimEnd())
    .filter((line) => line !== '')
    .join('\n')
}

/**
 * The files of declarations a sub-path is made of.
 * @param {string} file
 * @param {string[]} [seen]
 * @returns {string[]}
 */
function reached(file, seen = []) {
  if (seen.includes(file)) return seen
  seen.push(file)
  const text = fs.readFileSync(path.join(root, file), 'utf8')
  for (const [, name] of text.matchAll(/^export .*from '(\.{1,2}\/.+)\.js'/gm))
    reached(path.posix.join(path.posix.dirname(file), `${name}.d.ts`), seen)
  return seen
}

/** @param {string} name @param {any} value */
function shape(name, value) {
  if (typeof value === 'function' && /^class\b/.test(Function.prototype.toString.call(value))) {
    const members = (/** @type {object} */ of, /** @type {string} */ prefix) =>
      Reflect.ownKeys(of)
        .filter(
          (key) =>
            !['constructor', 'prototype', 'length', 'name'].includes(String(key)) &&
            !String(key).includes('nodejs.util.inspect')
        )
        // Node.js 20 has names of its own for what became the language's.
        .map((key) => `${prefix}${String(key).replace('Symbol(nodejs.', 'Symbol(Symbol.')}`)
    /** @type {string[]} */
    const inherited = []
    for (
      let of = value;
      /^class\b/.test(Function.prototype.toString.call(of)) &&
      !/\[native code\]/.test(Function.prototype.toString.call(of)) &&
      of !== EventTarget;
      of = Object.getPrototypeOf(of)
    ) {
      inherited.push(...members(of, 'static '), ...members(of.prototype, ''))
    }
    return [`class ${name}`, ...[...new Set(inherited)].sort().map((member) => `  ${member}`)].join('\n')
  }
  if (typeof value === 'function') return `function ${name}`
  if (typeof value === 'object' && value !== null)
    return [
      `object ${name}`,
      ...Object.keys(value)
        .sort()
        .map((key) => `  ${key}`)
    ].join('\n')
  return `${typeof value} ${name} = ${JSON.stringify(value)}`
}

/** @param {string} language @param {string} text */
const block = (language, text) => `\`\`\`${language}\n${text}\n\`\`\`\n`

/** Every report with what has to be in it. */
function expected() {
  const { name, exports: faces, bin, engines } = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'))
  /** @type {Map<string, string>} */
  const reports = new Map()
  /** @type {string[]} */
  const told = []
  for (const [at, entry] of Object.entries(faces)) {
    if (typeof entry === 'string') continue
    const face = require(path.join(root, entry.default))
    const files = reached(entry.types.slice(2))
    const parts = [
      `# ${path.posix.join(name, at)}\n`,
      '## When it is loaded\n',
      block(
        '',
        Object.keys(face)
          .sort()
          .map((key) => shape(key, face[key]))
          .join('\n')
      )
    ]
    // What several sub-paths hand on is told once.
    for (const file of files.filter((each) => !told.includes(each)))
      parts.push(`## ${file}\n`, block('ts', declarations(fs.readFileSync(path.join(root, file), 'utf8'))))
    told.push(...files)
    reports.set(`api/${at === '.' ? 'index' : at.slice(2)}.md`, parts.join('\n'))
  }
  const help = execFileSync(process.execPath, [path.join(root, bin[name]), '--help'], {
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1' }
  })
  reports.set('api/command.md', [`# npx ${name}\n`, `Node.js ${engines.node}\n`, block('', help.trimEnd())].join('\n'))
  return reports
}

module.exports = { expected, root }

if (require.main === module) {
  fs.rmSync(path.join(root, 'api'), { recursive: true, force: true })
  fs.mkdirSync(path.join(root, 'api'))
  for (const [file, text] of expected()) fs.writeFileSync(path.join(root, file), text)
}

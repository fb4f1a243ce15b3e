'use strict'
/**
 * The shape of the agent's source, read from its `use` lines: `node scripts/house.js` draws it,
 * `__test__/house.test.mjs` holds it. A room is an entry of crates/countersign/src/agent; a floor is as far as a room's
 * imports reach down.
 */
const fs = require('node:fs')
const path = require('node:path')

const root = path.join(__dirname, '..')
const CORE = path.join(root, 'crates', 'countersign', 'src')

/**
 * Rust files below a folder of the core, by module path.
 * @param {string} folder
 * @returns {Map<string, string>} `agent::rules::store` to its text, without comments and tests
 */
function modules(folder) {
  const found = new Map()
  for (const entry of fs.readdirSync(path.join(CORE, folder), { recursive: true, encoding: 'utf8' })) {
    if (!entry.endsWith('.rs')) continue
    const parts = path.join(folder, entry).slice(0, -'.rs'.length).split(path.sep)
    if (parts.at(-1) === 'mod') parts.pop()
    if (parts.at(-1) === 'tests') continue
    found.set(parts.join('::'), withoutTests(fs.readFileSync(path.join(CORE, folder, entry), 'utf8')))
  }
  return found
}

/** @param {string} text */
function withoutTests(text) {
  const tests = /^#\[cfg\((?:all\()?test\b[^\n]*\n(?:#[^\n]*\n)*mod tests/m.exec(text)
  return (tests ? text.slice(0, tests.index) : text).replace(/\/\/.*/g, '')
}

/**
 * The paths of a use tree: `a::{b, c::{d, self}}` is `a::b`, `a::c::d`, `a::c`.
 * @param {string} tree
 * @returns {string[]}
 */
function paths(tree) {
  const brace = tree.indexOf('{')
  if (brace < 0)
    return [
      tree
        .trim()
        .replace(/ as .*/s, '')
        .replace(/::self$/, '')
    ]
  const head = tree.slice(0, brace).trim()
  const parts = ['']
  let depth = 0
  for (const letter of tree.slice(brace + 1, tree.lastIndexOf('}'))) {
    if (letter === '{') depth++
    if (letter === '}') depth--
    if (letter === ',' && depth === 0) parts.push('')
    else parts[parts.length - 1] += letter
  }
  return parts.filter((part) => part.trim() !== '').flatMap((part) => paths(head + part.trim()))
}

/**
 * A path as it is seen from the crate, when it leads to a module of ours.
 * @param {string} module
 * @param {string} name
 * @param {Map<string, string>} all
 */
function absolute(module, name, all) {
  const parts = name.split('::')
  let at = module.split('::')
  if (parts[0] === 'crate') at = []
  else if (parts[0] !== 'self' && parts[0] !== 'super')
    return all.has(`${module}::${parts[0]}`) ? `${module}::${name}` : undefined
  while (parts[0] === 'crate' || parts[0] === 'self' || parts[0] === 'super') {
    if (parts.shift() === 'super') at.pop()
  }
  return [...at, ...parts].join('::')
}

/**
 * Who imports whom. What a module re-exports is followed to where it is defined.
 * @param {Map<string, string>} all
 */
function imports(all) {
  /** @type {Map<string, Map<string, string>>} what a module re-exports, by name */
  const exported = new Map()
  const used = new Map()
  for (const [module, text] of all) {
    const seen = new Set()
    const names = new Map()
    for (const [, visibility, tree] of text.matchAll(/^\s*(pub(?:\([^)]*\))? )?use ([^;]+);/gm)) {
      for (const name of paths(tree)) {
        const target = absolute(module, name, all)
        if (!target) continue
        if (visibility) names.set(target.slice(target.lastIndexOf('::') + 2), target)
        else seen.add(target)
      }
    }
    const inline = text.replace(/^\s*(?:pub(?:\([^)]*\))? )?use [^;]+;/gm, '')
    for (const [name] of inline.matchAll(/(?<![\w:])(?:super|crate)(?:::\w+)+/g)) {
      const target = absolute(module, name, all)
      if (target) seen.add(target)
    }
    exported.set(module, names)
    used.set(module, seen)
  }
  /** @type {(target: string, turns?: number) => string | undefined} */
  const home = (target, turns = 0) => {
    const parts = target.split('::')
    for (let length = parts.length; length > 0; length--) {
      const module = parts.slice(0, length).join('::')
      if (!all.has(module)) continue
      const moved = exported.get(module)?.get(parts[length] ?? '')
      return moved && moved !== target && turns < 8
        ? home([moved, ...parts.slice(length + 1)].join('::'), turns + 1)
        : module
    }
  }
  return new Map(
    [...used].map(([module, targets]) => {
      const homes = new Set([...targets].map((target) => home(target)).filter((to) => to && to !== module))
      return [module, /** @type {Set<string>} */ (homes)]
    })
  )
}

/**
 * Circles of a graph: each a path that ends where it began.
 * @param {Map<string, Set<string>>} graph
 */
function circles(graph) {
  /** @type {string[][]} */
  const found = []
  const done = new Set()
  const visit = (/** @type {string} */ node, /** @type {string[]} */ way) => {
    if (way.includes(node)) return void found.push([...way.slice(way.indexOf(node)), node])
    if (done.has(node)) return
    done.add(node)
    for (const next of graph.get(node) ?? []) visit(next, [...way, node])
  }
  for (const node of graph.keys()) visit(node, [])
  return found
}

/**
 * The agent's rooms, and what each of them imports.
 * @param {Map<string, Set<string>>} files
 */
function rooms(files) {
  const room = (/** @type {string} */ module) => module.split('::')[1]
  const graph = new Map()
  for (const [module, targets] of files) {
    const from = room(module)
    if (!module.startsWith('agent::') || !from) continue
    const to = graph.get(from) ?? new Set()
    for (const target of targets) {
      const other = target.startsWith('agent::') ? room(target) : undefined
      if (other && other !== from) to.add(other)
    }
    graph.set(from, to)
  }
  return graph
}

/**
 * The rooms by floor, the ground floor first. Only for a graph without circles.
 * @param {Map<string, Set<string>>} graph
 * @returns {string[][]}
 */
function floors(graph) {
  const heights = new Map()
  const height = (/** @type {string} */ node) => {
    if (!heights.has(node)) heights.set(node, 1 + Math.max(0, ...[...(graph.get(node) ?? [])].map(height)))
    return heights.get(node)
  }
  /** @type {string[][]} */
  const plan = []
  for (const node of graph.keys()) (plan[height(node) - 1] ??= []).push(node)
  return plan.map((floor) => floor.sort())
}

function agent() {
  const all = modules('agent')
  const files = imports(all)
  // A room's mod.rs is its map: it names its files, and nothing of theirs depends on it.
  const graph = rooms(files)
  return { files, graph, entries: fs.readdirSync(path.join(CORE, 'agent')) }
}

module.exports = { agent, circles, floors, paths, root }

if (require.main === module) {
  const { files, graph, entries } = agent()
  for (const circle of [...circles(files), ...circles(graph)]) console.log(`circle: ${circle.join(' -> ')}`)
  if (circles(graph).length === 0) {
    for (const [index, floor] of floors(graph).entries()) console.log(`${index + 1}  ${floor.join(' ')}`)
  }
  console.log(`${entries.length} entries`)
}

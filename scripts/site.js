#!/usr/bin/env node
'use strict'
/**
 * npm run site - the documentation as a site, in target/site: README, guides, and what the typings say. Every link in
 * it is followed. typedoc wants another TypeScript than the one that checks us: both are kept in
 * ${XDG_CACHE_HOME:-~/.cache}/countersign.
 */
const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { installOnce } = require('./cache')
const { setUp, root } = require('./setup')

const PACKAGES = ['typedoc@0.28.20', 'typescript@5.9.3']
const site = path.join(root, 'target', 'site')

/**
 * The typings of every sub-path, copied to where they can hand on what their comments speak of: typedoc follows a link
 * only to what a module exports.
 * @param {string} directory
 */
function faces(directory) {
  const { exports: all } = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8'))
  const typings = fs.readdirSync(path.join(root, 'types')).map((name) => `types/${name}`)
  fs.mkdirSync(path.join(directory, 'types'), { recursive: true })
  for (const name of ['index.d.ts', ...typings]) {
    const text = fs.readFileSync(path.join(root, name), 'utf8')
    const spokenOf = ['CountersignError', 'X509Source'].filter(
      (each) => text.includes(`{@link ${each}}`) && !new RegExp(`^export .*\\b${each}\\b`, 'm').test(text)
    )
    const own = ['index', 'types/spiffe', 'types/workload-api', 'types/native'].includes(name.slice(0, -'.d.ts'.length))
    fs.writeFileSync(
      path.join(directory, name),
      own || spokenOf.length === 0 ? text : `${text}\nexport type { ${spokenOf.join(', ')} } from '../index.js'\n`
    )
  }
  return Object.values(all).flatMap((entry) => (typeof entry === 'string' ? [] : [path.join(directory, entry.types)]))
}

/** @param {string} cache the directory that has typedoc */
function build(cache) {
  const settings = path.join(cache, 'settings')
  fs.mkdirSync(settings, { recursive: true })
  const entryPoints = faces(settings)
  const tsconfig = path.join(settings, 'tsconfig.json')
  fs.writeFileSync(
    tsconfig,
    JSON.stringify({
      compilerOptions: {
        target: 'es2022',
        lib: ['es2023', 'esnext.disposable'],
        module: 'nodenext',
        moduleResolution: 'nodenext',
        strict: true,
        noEmit: true,
        types: ['node'],
        typeRoots: [path.join(root, 'node_modules', '@types')],
        skipLibCheck: true
      },
      files: entryPoints
    })
  )
  const options = path.join(settings, 'typedoc.json')
  fs.writeFileSync(
    options,
    JSON.stringify({
      entryPoints,
      tsconfig,
      basePath: root,
      out: site,
      name: 'countersign',
      includeVersion: true,
      readme: path.join(root, 'README.md'),
      disableSources: true,
      disableGit: true,
      projectDocuments: fs.readdirSync(path.join(root, 'docs')).map((name) => path.join(root, 'docs', name)),
      highlightLanguages: ['js', 'ts', 'json', 'toml', 'sh', 'ini'],
      validation: { invalidLink: true, notExported: false, notDocumented: false },
      treatValidationWarningsAsErrors: true
    })
  )
  fs.rmSync(site, { recursive: true, force: true })
  const { status } = spawnSync(
    process.execPath,
    [path.join(cache, 'node_modules', 'typedoc', 'bin', 'typedoc'), '--options', options, '--logLevel', 'Warn'],
    { cwd: root, stdio: 'inherit' }
  )
  if (status !== 0) throw new Error('typedoc is not content')
}

/** Every link to a page of the site that is not there, or to a place in it. */
function broken() {
  const pages = fs
    .readdirSync(site, { recursive: true })
    .map(String)
    .filter((name) => name.endsWith('.html'))
  const text = new Map(pages.map((name) => [name, fs.readFileSync(path.join(site, name), 'utf8')]))
  /** @type {string[]} */
  const wrong = []
  let links = 0
  for (const [page, html] of text) {
    for (const [, href] of html.matchAll(/\shref="([^"]*)"/g)) {
      if (/^(https?:|mailto:|data:)/.test(href)) continue
      links++
      const [file, anchor] = href.replaceAll('&amp;', '&').split('#')
      const target = file === '' ? page : path.join(path.dirname(page), decodeURIComponent(file))
      if (!fs.existsSync(path.join(site, target))) wrong.push(`${page}: ${href}`)
      else if (anchor && text.has(target) && !text.get(target)?.includes(`id="${decodeURIComponent(anchor)}"`))
        wrong.push(`${page}: ${href}`)
    }
  }
  process.stdout.write(`${pages.length} pages, ${links} links\n`)
  return wrong
}

setUp()
build(installOnce('typedoc', PACKAGES))
const wrong = broken()
for (const link of wrong.slice(0, 20)) process.stderr.write(`a link to nowhere: ${link}\n`)
process.exitCode = wrong.length === 0 ? 0 : 1

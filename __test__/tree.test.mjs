// What must not be in the tree.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'

const root = path.join(import.meta.dirname, '..')
const files = execFileSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8' }).split('\0').filter(Boolean)

/** Put together here, so that this file does not name them itself. */
const MACHINE_PATHS = ['work', 'root', 'Users'].map((name) => `/${name}/`).concat('/home/')
const configured = new URL(
  execFileSync('npm', ['config', 'get', 'registry'], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore']
  }).trim()
).host
const HOSTS = /\bhttps?:\/\/[^\s"']*\b(registry|artifactory|nexus|verdaccio|proxy)\b[^\s"']*/i

test('no file names a path of the machine it was written on', () => {
  for (const file of files) {
    const text = readFileSync(path.join(root, file), 'latin1')
    for (const machinePath of MACHINE_PATHS) {
      const at = text.search(new RegExp(`(^|[\\s"'\`=(:])${machinePath}[a-z]`, 'm'))
      assert.equal(at, -1, `${file}: ${text.slice(at, at + 60)}`)
    }
  }
})
test('no file names the host of a package registry, and the lock file no address at all', () => {
  for (const file of files) {
    const text = readFileSync(path.join(root, file), 'latin1')
    const found = HOSTS.exec(text)
    assert.equal(found, null, `${file}: ${found}`)
    assert.ok(!text.includes(configured), file)
  }
  assert.doesNotMatch(readFileSync(path.join(root, 'package-lock.json'), 'utf8'), /"resolved"/)
})
test('no file is a leftover of a run', () => {
  assert.deepEqual(
    files.filter((file) => /\.(log|node|tgz|sock|orig|rej)$|(^|\/)((node_modules|target)(\/|$)|core$)/.test(file)),
    []
  )
})
test('no line of JavaScript has more than 120 columns', () => {
  // What napi generates is laid out by napi.
  const written = files.filter(
    (file) =>
      /^((lib|bin|types|__test__|scripts)\/.*|index)\.([cm]?js|[cm]?ts)$/.test(file) && file !== 'types/native.d.ts'
  )
  const long = written.flatMap((file) =>
    readFileSync(path.join(root, file), 'utf8')
      .split('\n')
      .flatMap((line, index) => ([...line].length > 120 ? [`${file}:${index + 1}`] : []))
  )
  assert.deepEqual(long, [])
})

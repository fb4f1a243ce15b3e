// Running a piece of script in a fresh process, the way a user's program would.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../..', import.meta.url))

/**
 * The file of an entry point of the package, for `require` in a script: `entryPoint('countersign/tls')`.
 * @param {string} name
 */
export const entryPoint = (name) => fileURLToPath(import.meta.resolve(name))

/**
 * `script` is CommonJS; `countersign` and `socketPath` are there for it. What it prints and how it ends come back.
 * @param {string} script
 * @param {{ socketPath?: string, flags?: string[], env?: Record<string, string>, timeout?: number }} [options]
 * @returns {Promise<{ code: number | null, signal: NodeJS.Signals | null, stdout: string, stderr: string, took: number
 * }>}
 */
export function runScript(script, { socketPath = '', flags = [], env = {}, timeout = 120_000 } = {}) {
  const [entry, socket] = [JSON.stringify(root), JSON.stringify(socketPath)]
  const head = `const countersign = require(${entry}); const socketPath = ${socket};\n`
  // What this process was started with (a preload, say) holds for its children too; what makes it a test run does not.
  const inherited = process.execArgv.filter((flag) => !flag.startsWith('--test'))
  const { NODE_TEST_CONTEXT, ...clean } = process.env
  const start = performance.now()
  const child = spawn(process.execPath, [...inherited, ...flags, '--eval', head + script], {
    env: { ...clean, ...env },
    stdio: ['ignore', 'pipe', 'pipe']
  })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk) => {
    stdout += chunk
  })
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  const timer = setTimeout(() => child.kill('SIGKILL'), timeout)
  return new Promise((resolve) =>
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      resolve({ code, signal, stdout, stderr, took: performance.now() - start })
    })
  )
}

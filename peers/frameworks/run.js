#!/usr/bin/env node
'use strict'
/**
 * Puts requirePrincipal in front of the real Express and Fastify, and principals before the real Cedar. They are fetched
 * once, into ${XDG_CACHE_HOME:-~/.cache}/countersign/frameworks.
 */
const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const { createRequire } = require('node:module')
const os = require('node:os')
const path = require('node:path')

const PACKAGES = ['express@5.3.0', 'express4@npm:express@4.22.1', 'fastify@5.12.8', '@cedar-policy/cedar-wasm@4.13.0']
const cache = path.join(process.env.XDG_CACHE_HOME || path.join(os.homedir(), '.cache'), 'countersign', 'frameworks')

function install () {
  const marker = path.join(cache, 'installed.json')
  if (fs.existsSync(marker) && fs.readFileSync(marker, 'utf8') === JSON.stringify(PACKAGES)) return
  fs.mkdirSync(cache, { recursive: true })
  const { status, stderr } = spawnSync('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error', '--prefix', cache, ...PACKAGES], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${PACKAGES.join(', ')} cannot be installed: ${stderr}`)
  fs.writeFileSync(marker, JSON.stringify(PACKAGES))
}

async function main () {
  install()
  const foreign = createRequire(path.join(cache, 'package.json'))
  let failed = 0
  const checks = [...require('./guards')(foreign), ...require('./cedar')(foreign)]
  for (const [name, check] of checks) {
    try {
      await check()
      process.stdout.write(`ok ${name}\n`)
    } catch (error) {
      failed++
      process.stdout.write(`not ok ${name}\n${/** @type {Error} */ (error).stack}\n`)
    }
  }
  process.stdout.write(`${checks.length - failed} passed, ${failed} failed\n`)
  process.exitCode = failed === 0 ? 0 : 1
}

main()

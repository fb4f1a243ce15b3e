#!/usr/bin/env node
'use strict'
/**
 * Puts requirePrincipal in front of the real Express and Fastify, and principals before the real Cedar. They are fetched
 * once, into ${XDG_CACHE_HOME:-~/.cache}/countersign/frameworks.
 */
const { createRequire } = require('node:module')
const path = require('node:path')
const { installOnce } = require('../../scripts/cache')

const PACKAGES = ['express@5.3.0', 'express4@npm:express@4.22.1', 'fastify@5.12.8', '@cedar-policy/cedar-wasm@4.13.0']

async function main() {
  const cache = installOnce('frameworks', PACKAGES)
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

'use strict'
const { Agent, startAgent } = require('./agent')

exports.startAgent = startAgent
exports.Agent = Agent

void (/** @satisfies {import('../internal/face').Face<typeof import('../../types/agent')>} */ (module.exports))

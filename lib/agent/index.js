'use strict'
const { Agent, startAgent } = require('./agent')

exports.startAgent = startAgent
exports.Agent = Agent

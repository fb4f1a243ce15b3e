'use strict'
const { TestAgent, startTestAgent } = require('./agent')
const { MintedX509Svid, TestCa } = require('./ca')
const { Faults } = require('./faults')
const messages = require('./messages')

exports.startTestAgent = startTestAgent
exports.TestAgent = TestAgent
exports.Faults = Faults
exports.TestCa = TestCa
exports.MintedX509Svid = MintedX509Svid
exports.encodeX509Response = messages.encodeX509Response
exports.encodeJwtResponse = messages.encodeJwtResponse
exports.encodeX509BundlesResponse = messages.encodeX509BundlesResponse
exports.encodeJwtBundlesResponse = messages.encodeJwtBundlesResponse

void (/** @satisfies {import('../internal/face').Face<typeof import('../../types/testing')>} */ (module.exports))

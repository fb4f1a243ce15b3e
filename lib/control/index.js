'use strict'
// One assignment a name: that is how an ES module importing this one learns the names.
exports.ControlClient = require('./client').ControlClient
exports.verifyLog = require('./verify-log').verifyLog
exports.CountersignError = require('../native/errors').CountersignError

void (/** @satisfies {import('../internal/face').Face<typeof import('../../types/control')>} */ (module.exports))

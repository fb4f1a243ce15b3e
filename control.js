'use strict'
// One assignment a name: that is how an ES module importing this one learns the names.
exports.ControlClient = require('./lib/control/client').ControlClient
exports.verifyLog = require('./lib/control/verify-log').verifyLog
exports.CountersignError = require('./lib/errors').CountersignError

'use strict'
// One assignment a name: that is how an ES module importing this one learns the names.
const { CountersignError } = require('./lib/errors')
const { Identity, Runner } = require('./lib/identity')
const { IdentityClient, getIdentity, getIdentitySync, DEFAULT_SOCKET_PATH } = require('./lib/whoami')
const { getPeerCredentials, getPeerProcess, authorizePeer, connectVerified } = require('./lib/peer')

exports.getIdentity = getIdentity
exports.getIdentitySync = getIdentitySync
exports.IdentityClient = IdentityClient
exports.Identity = Identity
exports.Runner = Runner
exports.getPeerCredentials = getPeerCredentials
exports.getPeerProcess = getPeerProcess
exports.authorizePeer = authorizePeer
exports.connectVerified = connectVerified
exports.CountersignError = CountersignError
exports.DEFAULT_SOCKET_PATH = DEFAULT_SOCKET_PATH

'use strict'
// One assignment a name: that is how an ES module importing this one learns the names.
const { CountersignError } = require('./lib/errors')
const { Identity, Runner } = require('./lib/identity')
const { IdentityClient, getIdentity, getIdentitySync, DEFAULT_SOCKET_PATH } = require('./lib/whoami')

/**
 * Loaded when first used: every file costs a process that never needs it a third of a millisecond at its start.
 * @type {typeof import('./lib/peer') | undefined}
 */
let loaded
const peer = () => { return loaded ??= require('./lib/peer') }

exports.getIdentity = getIdentity
exports.getIdentitySync = getIdentitySync
exports.IdentityClient = IdentityClient
exports.Identity = Identity
exports.Runner = Runner
exports.getPeerCredentials = /** @type {typeof import('./lib/peer').getPeerCredentials} */ (target) => (loaded ?? peer()).getPeerCredentials(target)
exports.getPeerProcess = /** @type {typeof import('./lib/peer').getPeerProcess} */ (target, options) => peer().getPeerProcess(target, options)
exports.authorizePeer = /** @type {typeof import('./lib/peer').authorizePeer} */ (target, policy) => peer().authorizePeer(target, policy)
exports.connectVerified = /** @type {typeof import('./lib/peer').connectVerified} */ (path, policy, options) => peer().connectVerified(path, policy, options)
exports.CountersignError = CountersignError
exports.DEFAULT_SOCKET_PATH = DEFAULT_SOCKET_PATH

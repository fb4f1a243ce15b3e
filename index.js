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

// SPIFFE, loaded by the first look at a name: a program that only asks who it is need not pay for it.
exports.SpiffeId = undefined
exports.TrustDomain = undefined
exports.authorize = undefined
exports.X509Svid = undefined
exports.JwtSvid = undefined
exports.X509Bundle = undefined
exports.JwtBundle = undefined
exports.SpiffeBundle = undefined
exports.BundleSet = undefined
exports.BundleMap = undefined
exports.verifyX509Svid = undefined
exports.verifyJwtSvid = undefined
exports.VerifiedX509Svid = undefined
exports.WorkloadApiClient = undefined
exports.X509Source = undefined
exports.JwtSource = undefined
exports.X509Context = undefined

/**
 * @param {() => object} load a module with these names
 * @param {string[]} names
 */
function later (load, ...names) {
  for (const name of names) {
    const get = () => {
      const value = /** @type {Record<string, unknown>} */ (load())[name]
      // What it was first asked for, it stays: a property like the others.
      Object.defineProperty(exports, name, { enumerable: true, configurable: true, writable: true, value })
      return value
    }
    Object.defineProperty(exports, name, { enumerable: true, configurable: true, get })
  }
}
later(() => require('./lib/spiffe/id'), 'SpiffeId')
later(() => require('./lib/spiffe/trust-domain'), 'TrustDomain')
later(() => require('./lib/spiffe/authorize'), 'authorize')
later(() => require('./lib/spiffe/x509-svid'), 'X509Svid')
later(() => require('./lib/spiffe/jwt-svid'), 'JwtSvid')
later(() => require('./lib/spiffe/x509-bundle'), 'X509Bundle')
later(() => require('./lib/spiffe/jwt-bundle'), 'JwtBundle')
later(() => require('./lib/spiffe/spiffe-bundle'), 'SpiffeBundle')
later(() => require('./lib/spiffe/bundle-set'), 'BundleSet', 'BundleMap')
later(() => require('./lib/spiffe/verify'), 'verifyX509Svid', 'verifyJwtSvid', 'VerifiedX509Svid')
later(() => require('./lib/spiffe/workload-api/client'), 'WorkloadApiClient')
later(() => require('./lib/spiffe/source/x509'), 'X509Source')
later(() => require('./lib/spiffe/source/jwt'), 'JwtSource')
later(() => require('./lib/spiffe/workload-api/x509-context'), 'X509Context')

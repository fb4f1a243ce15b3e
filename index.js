'use strict'
// A program pays for what it uses: every file costs a third of a millisecond at its start, so each room is loaded by the
// first look at one of its names. Only the addon is loaded here, so that it is missed at once.
require('./lib/native/load')

// One assignment a name: that is how an ES module importing this one learns the names.
exports.getIdentity = undefined
exports.getIdentitySync = undefined
exports.IdentityClient = undefined
exports.Identity = undefined
exports.Runner = undefined
exports.DEFAULT_SOCKET_PATH = undefined
exports.getPeerCredentials = undefined
exports.getPeerProcess = undefined
exports.authorizePeer = undefined
exports.connectVerified = undefined
exports.CountersignError = undefined
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
function later(load, ...names) {
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
later(() => require('./lib/whoami/client'), 'getIdentity', 'getIdentitySync', 'IdentityClient', 'DEFAULT_SOCKET_PATH')
later(() => require('./lib/whoami/identity'), 'Identity', 'Runner')
later(() => require('./lib/peer/process'), 'getPeerCredentials', 'getPeerProcess', 'authorizePeer', 'connectVerified')
later(() => require('./lib/native/errors'), 'CountersignError')
later(() => require('./lib/spiffe/id'), 'SpiffeId')
later(() => require('./lib/spiffe/trust-domain'), 'TrustDomain')
later(() => require('./lib/spiffe/authorizer'), 'authorize')
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

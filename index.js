'use strict'
// A program pays for what it uses: every file costs a third of a millisecond at its start, so each room is loaded by
// the first look at one of its names. Only the addon is loaded here, so that it is missed at once.
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

/** @satisfies {import('./lib/internal/face').LazyFace<typeof import('./index')>} */
const values = {
  getIdentity: () => require('./lib/whoami/client').getIdentity,
  getIdentitySync: () => require('./lib/whoami/client').getIdentitySync,
  IdentityClient: () => require('./lib/whoami/client').IdentityClient,
  DEFAULT_SOCKET_PATH: () => require('./lib/whoami/client').DEFAULT_SOCKET_PATH,
  Identity: () => require('./lib/whoami/identity').Identity,
  Runner: () => require('./lib/whoami/identity').Runner,
  getPeerCredentials: () => require('./lib/peer/process').getPeerCredentials,
  getPeerProcess: () => require('./lib/peer/process').getPeerProcess,
  authorizePeer: () => require('./lib/peer/process').authorizePeer,
  connectVerified: () => require('./lib/peer/connect-verified').connectVerified,
  CountersignError: () => require('./lib/native/errors').CountersignError,
  SpiffeId: () => require('./lib/spiffe/id').SpiffeId,
  TrustDomain: () => require('./lib/spiffe/trust-domain').TrustDomain,
  authorize: () => require('./lib/spiffe/authorizer').authorize,
  X509Svid: () => require('./lib/spiffe/x509-svid').X509Svid,
  JwtSvid: () => require('./lib/spiffe/jwt-svid').JwtSvid,
  X509Bundle: () => require('./lib/spiffe/x509-bundle').X509Bundle,
  JwtBundle: () => require('./lib/spiffe/jwt-bundle').JwtBundle,
  SpiffeBundle: () => require('./lib/spiffe/spiffe-bundle').SpiffeBundle,
  BundleSet: () => require('./lib/spiffe/bundle-set').BundleSet,
  BundleMap: () => require('./lib/spiffe/bundle-set').BundleMap,
  verifyX509Svid: () => require('./lib/spiffe/verify').verifyX509Svid,
  verifyJwtSvid: () => require('./lib/spiffe/verify').verifyJwtSvid,
  VerifiedX509Svid: () => require('./lib/spiffe/verify').VerifiedX509Svid,
  WorkloadApiClient: () => require('./lib/spiffe/workload-api/client').WorkloadApiClient,
  X509Source: () => require('./lib/spiffe/source/x509').X509Source,
  JwtSource: () => require('./lib/spiffe/source/jwt').JwtSource,
  X509Context: () => require('./lib/spiffe/workload-api/x509-context').X509Context
}

for (const [name, load] of Object.entries(values)) {
  const get = () => {
    const value = load()
    // From the first look on it is an ordinary property.
    Object.defineProperty(exports, name, { enumerable: true, configurable: true, writable: true, value })
    return value
  }
  Object.defineProperty(exports, name, { enumerable: true, configurable: true, get })
}

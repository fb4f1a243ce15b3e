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

const { SpiffeId } = require('./lib/spiffe/id')
const { TrustDomain } = require('./lib/spiffe/trust-domain')
const { authorize } = require('./lib/spiffe/authorize')
const { X509Svid } = require('./lib/spiffe/x509-svid')
const { JwtSvid } = require('./lib/spiffe/jwt-svid')
const { X509Bundle } = require('./lib/spiffe/x509-bundle')
const { JwtBundle } = require('./lib/spiffe/jwt-bundle')
const { SpiffeBundle } = require('./lib/spiffe/spiffe-bundle')
const { BundleSet, BundleMap } = require('./lib/spiffe/bundle-set')
const { verifyX509Svid, verifyJwtSvid, VerifiedX509Svid } = require('./lib/spiffe/verify')

exports.SpiffeId = SpiffeId
exports.TrustDomain = TrustDomain
exports.authorize = authorize
exports.X509Svid = X509Svid
exports.JwtSvid = JwtSvid
exports.X509Bundle = X509Bundle
exports.JwtBundle = JwtBundle
exports.SpiffeBundle = SpiffeBundle
exports.BundleSet = BundleSet
exports.BundleMap = BundleMap
exports.verifyX509Svid = verifyX509Svid
exports.verifyJwtSvid = verifyJwtSvid
exports.VerifiedX509Svid = VerifiedX509Svid

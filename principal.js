'use strict'
// One assignment a name: that is how an ES module importing this one learns the names.
const {
  DeviceId,
  EventId,
  SessionId,
  TenantId,
  UserId,
  defineId,
  ensureUserIdNotReserved
} = require('./lib/principal/id')

exports.TenantId = TenantId
exports.UserId = UserId
exports.DeviceId = DeviceId
exports.SessionId = SessionId
exports.EventId = EventId
exports.defineId = defineId
exports.ensureUserIdNotReserved = ensureUserIdNotReserved
exports.TrustDomain = require('./lib/principal/trust-domain').TrustDomain
exports.WorkloadId = require('./lib/principal/workload-id').WorkloadId
exports.Issuer = require('./lib/principal/issuer').Issuer
exports.Principal = require('./lib/principal/principal').Principal
exports.HumanPrincipal = require('./lib/principal/human').HumanPrincipal
exports.WorkloadPrincipal = require('./lib/principal/workload').WorkloadPrincipal
exports.principalOf = require('./lib/principal/spiffe').principalOf
exports.CliResolver = require('./lib/principal/cli').CliResolver
exports.WhoamiResolver = require('./lib/principal/whoami').WhoamiResolver
exports.PeerResolver = require('./lib/principal/peer').PeerResolver
exports.JwtSvidResolver = require('./lib/principal/jwt-svid').JwtSvidResolver
exports.MtlsResolver = require('./lib/principal/mtls').MtlsResolver
exports.OidcResolver = require('./lib/principal/oidc').OidcResolver
exports.SessionResolver = require('./lib/principal/session').SessionResolver
exports.githubActions = require('./lib/principal/github-actions').githubActions
exports.kubernetes = require('./lib/principal/kubernetes').kubernetes
exports.ReplayGuard = require('./lib/principal/replay-guard').ReplayGuard
exports.requirePrincipal = require('./lib/principal/require-principal').requirePrincipal
exports.getPrincipal = require('./lib/principal/require-principal').getPrincipal
exports.statusOf = require('./lib/principal/require-principal').statusOf
exports.toCedarEntity = require('./lib/principal/policy-input').toCedarEntity
exports.toAttributeMap = require('./lib/principal/policy-input').toAttributeMap
exports.CountersignError = require('./lib/errors').CountersignError

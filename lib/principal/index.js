'use strict'
// One assignment a name: that is how an ES module importing this one learns the names.
const { DeviceId, EventId, SessionId, TenantId, UserId, defineId, ensureUserIdNotReserved } = require('./id')

// IDs are strings, kept apart by a brand that only the typings have.
exports.TenantId = /** @type {import('../../types/principal').IdKindWithSystem<'TenantId'>} */ (TenantId)
exports.UserId = /** @type {import('../../types/principal').IdKindWithSystem<'UserId'>} */ (UserId)
exports.DeviceId = /** @type {import('../../types/principal').IdKind<'DeviceId'>} */ (DeviceId)
exports.SessionId = /** @type {import('../../types/principal').IdKind<'SessionId'>} */ (SessionId)
exports.EventId = /** @type {import('../../types/principal').IdKind<'EventId'>} */ (EventId)
exports.defineId = /** @type {typeof import('../../types/principal').defineId} */ (defineId)
exports.ensureUserIdNotReserved = ensureUserIdNotReserved
exports.TrustDomain = /** @type {typeof import('../../types/principal').TrustDomain} */ (
  require('./trust-domain').TrustDomain
)
exports.WorkloadId = /** @type {typeof import('../../types/principal').WorkloadId} */ (
  require('./workload-id').WorkloadId
)
exports.Issuer = /** @type {typeof import('../../types/principal').Issuer} */ (require('./issuer').Issuer)
exports.Principal = require('./principal').Principal
exports.HumanPrincipal = require('./human').HumanPrincipal
exports.WorkloadPrincipal = require('./workload').WorkloadPrincipal
exports.principalOf = require('./spiffe').principalOf
exports.CliResolver = require('./cli').CliResolver
exports.WhoamiResolver = require('./whoami').WhoamiResolver
exports.PeerResolver = require('./peer').PeerResolver
exports.JwtSvidResolver = require('./jwt-svid').JwtSvidResolver
exports.MtlsResolver = require('./mtls').MtlsResolver
exports.OidcResolver = require('./oidc').OidcResolver
exports.SessionResolver = require('./session').SessionResolver
exports.githubActions = require('./github-actions').githubActions
exports.kubernetes = require('./kubernetes').kubernetes
exports.ReplayGuard = require('./replay-guard').ReplayGuard
exports.requirePrincipal = /** @type {typeof import('../../types/principal').requirePrincipal} */ (
  require('./require-principal').requirePrincipal
)
exports.getPrincipal = require('./require-principal').getPrincipal
exports.statusOf = require('./require-principal').statusOf
exports.toCedarEntity = require('./policy-input').toCedarEntity
exports.toAttributeMap = require('./policy-input').toAttributeMap
exports.CountersignError = require('../native/errors').CountersignError

void (/** @satisfies {import('../internal/face').Face<typeof import('../../types/principal')>} */ (module.exports))

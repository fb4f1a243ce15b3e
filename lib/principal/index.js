'use strict'
// One assignment a name: that is how an ES module importing this one learns the names.
const { DeviceId, EventId, SessionId, TenantId, UserId, defineId, ensureUserIdNotReserved } = require('./id')

exports.TenantId = TenantId
exports.UserId = UserId
exports.DeviceId = DeviceId
exports.SessionId = SessionId
exports.EventId = EventId
exports.defineId = defineId
exports.ensureUserIdNotReserved = ensureUserIdNotReserved
exports.TrustDomain = require('./trust-domain').TrustDomain
exports.WorkloadId = require('./workload-id').WorkloadId
exports.Issuer = require('./issuer').Issuer
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
exports.requirePrincipal = require('./require-principal').requirePrincipal
exports.getPrincipal = require('./require-principal').getPrincipal
exports.statusOf = require('./require-principal').statusOf
exports.toCedarEntity = require('./policy-input').toCedarEntity
exports.toAttributeMap = require('./policy-input').toAttributeMap
exports.CountersignError = require('../native/errors').CountersignError

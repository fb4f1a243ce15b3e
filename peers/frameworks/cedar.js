'use strict'
/** Principals before Cedar: it takes the entities, and policies see what they should. */

const assert = require('node:assert/strict')
const { HumanPrincipal, Issuer, TenantId, toCedarEntity, WorkloadPrincipal } = require('countersign/principal')

const TENANT = TenantId.fromName('6ba7b810-9dad-11d1-80b4-00c04fd430c8', 'acme')
const resource = { type: 'Api', id: 'deploy' }

/** @param {any} cedar @param {any} principal @param {string} condition */
function decide(cedar, principal, condition) {
  const entity = toCedarEntity(principal)
  const answer = cedar.isAuthorized({
    principal: entity.uid,
    action: { type: 'Action', id: 'call' },
    resource,
    context: {},
    policies: { staticPolicies: `permit(principal, action, resource) when { ${condition} };` },
    entities: [entity]
  })
  assert.equal(answer.type, 'success', JSON.stringify(answer))
  assert.deepEqual(answer.response.diagnostics.errors, [], condition)
  return answer.response.decision
}

/** @param {NodeJS.Require} foreign @returns {[string, () => Promise<void>][]} */
module.exports = (foreign) => {
  const cedar = foreign('@cedar-policy/cedar-wasm/nodejs')
  // Longs that a number cannot hold need a runtime that can write them.
  const longs = /** @type {any} */ (JSON).rawJSON ? { least: -(2n ** 63n), most: 2n ** 63n - 1n } : {}
  const workload = new WorkloadPrincipal({
    trustDomain: 'acme.example',
    issuer: Issuer.custom('github_actions'),
    tenantId: TENANT,
    tenantSlug: 'octo-org',
    serviceName: 'octo-repo',
    attributes: {
      ref: 'refs/heads/main',
      run: 42,
      ...longs,
      beyond: 2n ** 64n - 1n,
      float: 1.5,
      protected: true,
      none: null,
      list: [1, 2],
      issuer: 'mtls'
    }
  })
  const human = new HumanPrincipal({ userId: TENANT, tenantId: TENANT, sessionId: TENANT, attributes: { level: 3 } })
  return [
    [
      'Cedar: a workload',
      async () => {
        for (const condition of [
          'principal is axess::Workload',
          `principal == axess::Workload::"${workload.workloadId}"`,
          'principal.issuer == "github_actions"',
          'principal.trust_domain == "acme.example"',
          `principal.tenant_id == "${TENANT}"`,
          'principal.tenant_slug == "octo-org" && principal.service_name == "octo-repo"',
          'principal.ref like "refs/heads/*"',
          'principal.run > 41 && principal.run < 43',
          ...('least' in longs
            ? ['principal.least == -9223372036854775808', 'principal.most == 9223372036854775807']
            : []),
          'principal.beyond == "18446744073709551615"',
          'principal.float == "1.5"',
          'principal.protected',
          'principal.none == "null"',
          'principal.list == "[1,2]"'
        ])
          assert.equal(decide(cedar, workload, condition), 'allow', condition)
        for (const condition of ['principal.issuer == "mtls"', 'principal is axess::Human'])
          assert.equal(decide(cedar, workload, condition), 'deny', condition)
      }
    ],
    [
      'Cedar: a human',
      async () => {
        for (const condition of [
          'principal is axess::Human',
          `principal.user_id == "${TENANT}" && principal.session_id == "${TENANT}"`,
          'principal.level == 3'
        ])
          assert.equal(decide(cedar, human, condition), 'allow', condition)
        const without = new HumanPrincipal({ userId: TENANT, tenantId: TENANT })
        assert.equal(decide(cedar, without, 'principal has session_id'), 'deny')
      }
    ]
  ]
}

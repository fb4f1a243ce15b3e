// What the tokens of GitHub Actions and of Kubernetes service accounts are taken for.
import assert from 'node:assert/strict'
import { createPublicKey } from 'node:crypto'
import { test } from 'node:test'
import { exportJWK, SignJWT } from 'jose'
import { githubActions, kubernetes, OidcResolver } from 'countersign/principal'
import { failing, outcome, TENANT } from './support/principal-scene.mjs'
import { newKey } from './support/spiffe-scene.mjs'

const key = newKey('2048')
const jwks = { keys: [{ ...(await exportJWK(createPublicKey(key))), kid: 'k', use: 'sig', alg: 'RS256' }] }
const common = { audience: 'deploy', trustDomain: 'acme.example', tenantId: TENANT, jwks }
/** @param {any} claims */
const signed = (claims) =>
  new SignJWT({ aud: 'deploy', exp: Math.floor(Date.now() / 1000) + 300, ...claims })
    .setProtectedHeader({ alg: 'RS256', kid: 'k', typ: 'JWT' })
    .sign(key)
/** @param {any} preset @param {any} claims */
const judged = async (preset, claims) =>
  (await outcome(new OidcResolver({ ...common, ...preset }).for(await signed(claims)).resolve())).replace(
    'NOT_AUTHENTICATED ',
    ''
  )

// As GitHub documents them.
const run = {
  iss: 'https://token.actions.githubusercontent.com',
  jti: 'example-id',
  sub: 'repo:octo-org/octo.repo:environment:prod',
  environment: 'prod',
  ref: 'refs/heads/main',
  sha: 'example-sha',
  repository: 'octo-org/octo.repo',
  repository_owner: 'octo-org',
  actor_id: '12',
  repository_visibility: 'private',
  repository_id: '74',
  repository_owner_id: '65',
  run_id: 'example-run-id',
  run_number: '10',
  run_attempt: '2',
  runner_environment: 'github-hosted',
  actor: 'octocat',
  workflow: 'example-workflow',
  head_ref: '',
  base_ref: '',
  event_name: 'workflow_dispatch',
  ref_type: 'branch',
  job_workflow_ref: 'octo-org/octo-automation/.github/workflows/oidc.yml@refs/heads/main'
}

test('a run of GitHub Actions', async () => {
  const resolver = new OidcResolver({ ...common, ...githubActions({ owners: ['octo-org'] }) })
  const principal = /** @type {any} */ (await resolver.for(await signed(run)).resolve())
  assert.equal(principal.workloadId, 'spiffe://acme.example/octo.repo/octo-org')
  assert.equal(String(principal.issuer), 'github_actions')
  assert.deepEqual([principal.serviceName, principal.tenantSlug], ['octo.repo', 'octo-org'])
  assert.deepEqual(
    { ...principal.attributes },
    {
      actor: 'octocat',
      environment: 'prod',
      event_name: 'workflow_dispatch',
      job_workflow_ref: run.job_workflow_ref,
      ref: 'refs/heads/main',
      repository: 'octo-org/octo.repo',
      repository_id: '74',
      repository_owner: 'octo-org',
      repository_owner_id: '65',
      run_id: 'example-run-id',
      sha: 'example-sha',
      workflow: 'example-workflow'
    }
  )
})

test('all of GitHub can have a token: somebody must be named', async () => {
  for (const options of [
    undefined,
    {},
    { owners: [] },
    { owners: 'octo-org' },
    { owners: [''] },
    { owners: [5] },
    { owner: ['octo-org'] },
    { owners: undefined },
    { repositories: [] }
  ]) {
    assert.equal(
      failing(() => githubActions(/** @type {any} */ (options))),
      'ARGUMENT',
      JSON.stringify(options)
    )
  }
  for (const [options, verdict] of /** @type {[any, string][]} */ ([
    [{ owners: ['octo-org'] }, 'resolved'],
    [{ owners: ['evil'] }, 'refused'],
    [{ owners: ['Octo-Org'] }, 'refused'],
    [{ owners: ['octo'] }, 'refused'],
    [{ ownerIds: ['65'] }, 'resolved'],
    [{ ownerIds: ['66'] }, 'refused'],
    [{ owners: ['octo-org'], ownerIds: ['66'] }, 'refused'],
    [{ repositories: ['octo-org/octo.repo'] }, 'resolved'],
    [{ repositories: ['octo-org/other'] }, 'refused'],
    [{ owners: ['x', 'octo-org'], repositories: ['octo-org/octo.repo'] }, 'resolved']
  ]))
    assert.equal(await judged(githubActions(options), run), verdict, JSON.stringify(options))
})

test('claims of GitHub Actions that do not fit', async () => {
  const preset = githubActions({ owners: ['octo-org'] })
  for (const changes of [
    { repository: undefined },
    { repository: '' },
    { repository: 5 },
    { repository_owner: undefined },
    { repository_owner: ['octo-org'] },
    { repository: 'evil/octo.repo' },
    { repository: 'octo-org-evil/x' }
  ]) {
    assert.equal(await judged(preset, { ...run, ...changes }), 'refused', JSON.stringify(changes))
  }
  assert.equal(await judged(preset, { ...run, repository: 'octo-org/' }), 'COMPONENT service empty_segment')
  assert.equal(await judged(preset, { ...run, repository: 'octo-org/a/b' }), 'COMPONENT service bad_path_segment_char')
  assert.equal(await judged(preset, { ...run, iss: 'https://evil' }), 'refused issuer_mismatch')
  assert.equal(await judged(preset, { ...run, repository_owner: '__proto__', repository: '__proto__/x' }), 'refused')
  assert.equal(
    await judged(githubActions({ owners: ['octo-org'], issuer: 'https://github.acme.example/_services/token' }), {
      ...run,
      iss: 'https://github.acme.example/_services/token'
    }),
    'resolved'
  )
})

// As a projected token has them.
const account = {
  iss: 'https://kubernetes.default.svc.cluster.local',
  sub: 'system:serviceaccount:shop:billing',
  nbf: 1,
  'kubernetes.io': {
    namespace: 'shop',
    node: { name: 'n1', uid: 'x' },
    pod: { name: 'billing-5c9f', uid: '2b1f' },
    serviceaccount: { name: 'billing', uid: '9a36' },
    warnafter: 1700000000
  }
}
const cluster = kubernetes({ issuer: account.iss })

test('a service account of Kubernetes', async () => {
  const principal = /** @type {any} */ (
    await new OidcResolver({ ...common, ...cluster }).for(await signed(account)).resolve()
  )
  assert.equal(principal.workloadId, 'spiffe://acme.example/billing/shop')
  assert.equal(String(principal.issuer), 'kubernetes')
  assert.deepEqual({ ...principal.attributes }, { pod_name: 'billing-5c9f', pod_uid: '2b1f', sa_uid: '9a36' })
})

test('claims of Kubernetes that do not fit', async () => {
  const bound = account['kubernetes.io']
  const of = (/** @type {any} */ changes) => judged(cluster, { ...account, 'kubernetes.io': { ...bound, ...changes } })
  assert.equal(await of({ pod: undefined }), 'resolved')
  assert.equal(await of({ serviceaccount: { name: 'billing' } }), 'resolved')
  for (const changes of [
    { namespace: undefined },
    { namespace: 5 },
    { serviceaccount: undefined },
    { serviceaccount: null },
    { serviceaccount: {} },
    { serviceaccount: ['billing'] },
    { pod: 5 },
    { namespace: 'kube-system' },
    { serviceaccount: { name: 'admin' } }
  ]) {
    assert.equal(await of(changes), 'refused', JSON.stringify(changes))
  }
  assert.equal(await judged(cluster, { ...account, 'kubernetes.io': undefined }), 'refused')
  assert.equal(await judged(cluster, { ...account, sub: 'system:serviceaccount:shop:other' }), 'refused')
  assert.equal(await judged(kubernetes({ issuer: account.iss, namespaces: ['shop'] }), account), 'resolved')
  assert.equal(await judged(kubernetes({ issuer: account.iss, namespaces: [] }), account), 'refused')
  for (const options of [
    undefined,
    {},
    { issuer: '' },
    { issuer: 'x', namespaces: 'shop' },
    { issuer: 'x', namespace: ['shop'] }
  ])
    assert.equal(
      failing(() => kubernetes(/** @type {any} */ (options))),
      'ARGUMENT'
    )
})

// What a consumer of the sub-paths may write, and what not.
import { startAgent, type Agent, type AgentConfig } from 'countersign/agent'
import { encodeX509Response, startTestAgent, TestCa, type RecordedCall, type TestAgent } from 'countersign/testing'
import { SpiffeId } from 'countersign'

const config: AgentConfig = {
  rules: [
    {
      match: { uid: 1001, exe: '/usr/bin/billing' },
      identity: 'BILLING',
      spiffeId: SpiffeId.parse('spiffe://example.org/billing'),
      x509SvidTtl: 60_000
    }
  ],
  workloadApi: { trustDomain: 'example.org', federatesWith: { 'partner.org': { bundleFile: '/etc/partner.json' } } }
}
// @ts-expect-error a typo must never widen access
export const typo: AgentConfig = { rules: [{ match: { uidd: 1001 }, identity: 'BILLING' }] }

export async function agents(): Promise<void> {
  const agent: Agent = await startAgent(config)
  agent.addEventListener('issued', ({ detail: { spiffeId, pid } }) => console.log(spiffeId.length, pid))
  const endpoint: string | undefined = agent.endpoint
  const { rules } = agent.setRules(config.rules ?? [])
  // @ts-expect-error no such step
  agent.rotateAuthority('revoke')
  console.log(endpoint, rules.toFixed(), agent.env.WHOAMI_SOCKET)
  await agent.close()

  const test: TestAgent = await startTestAgent({
    identities: ['spiffe://example.org/a', { spiffeId: 'spiffe://example.org/b', hint: 'x' }],
    ttl: 2000
  })
  test.faults.status('UNAVAILABLE', { times: 3, method: 'FetchX509SVID' })
  // @ts-expect-error no such status
  test.faults.status('SORRY')
  // @ts-expect-error no such field
  test.faults.blank('keys')
  const call: RecordedCall = await test.waitForCall('FetchJWTSVID')
  const status: string | undefined = call.status
  const ca = new TestCa()
  const svid = ca.x509Svid('spiffe://example.org/a', { flaw: 'twoUris' })
  // @ts-expect-error no such flaw
  ca.jwtSvid('spiffe://example.org/a', { audience: 'x', flaw: 'twoUris' })
  test.faults.respond(encodeX509Response({ svids: [{ spiffeId: 'spiffe://example.org/a', svid, bundle: ca.bundle }] }))
  console.log(status)
  await test.close()
}

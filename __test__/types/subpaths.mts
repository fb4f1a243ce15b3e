// Every sub-path as an ES module sees it: names, namespaces, and that types meet. Compiled, never run.
import * as agent from 'countersign/agent'
import * as control from 'countersign/control'
import * as grpc from 'countersign/grpc'
import * as principal from 'countersign/principal'
import * as testing from 'countersign/testing'
import * as tls from 'countersign/tls'
import {
  CountersignError,
  JwtSource,
  X509Source,
  type CountersignErrorCode,
  type CountersignErrorOf
} from 'countersign'
import type { Server } from 'node:https'

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
function same<A, B>(_: Same<A, B>): void {}

// What one sub-path makes, the others take.
const running = await agent.startAgent({
  rules: [{ match: { uid: 1 }, spiffeId: 'spiffe://example.org/a' }],
  workloadApi: { trustDomain: 'example.org' }
})
same<typeof running, agent.Agent>(true)
const source = await X509Source.open({ ...(running.endpoint === undefined ? {} : { endpoint: running.endpoint }) })
declare const server: Server
tls.secureServer(server, source, tls.authorize.memberOf('example.org'))
const answer = await tls.createFetch(source, tls.authorize.id('spiffe://example.org/a'))('https://localhost/')
same<typeof answer, Response>(true)
const pretend = await testing.startTestAgent({ identities: ['spiffe://example.org/a'] })
await JwtSource.open({ endpoint: pretend.endpoint })
for await (const alert of new control.ControlClient().subscribe()) same<typeof alert, control.Alert>(true)
same<keyof typeof grpc extends string ? true : false, true>(true)

// A principal is one of two, and its kind says which.
declare const who: principal.Principal
if (who.kind === 'human') same<typeof who, principal.HumanPrincipal>(true)
else same<typeof who, principal.WorkloadPrincipal>(true)

// A code says what else there is.
declare const failure: unknown
if (CountersignError.is(failure)) {
  same<typeof failure.code, CountersignErrorCode>(true)
  if (failure.code === 'ERR_TIMEOUT') same<typeof failure.timeout, number>(true)
  // @ts-expect-error: no such code
  if (failure.code === 'ERR_TIME_OUT') throw failure
}
same<CountersignErrorOf<'ERR_TIMEOUT'>['code'], 'ERR_TIMEOUT'>(true)

// @ts-expect-error: an agent without rules
await agent.startAgent({ workloadApi: { trustDomain: 1 } })
// @ts-expect-error: inside of the package
await import('countersign/lib/native/errors.js')
// @ts-expect-error: a server without anybody to welcome
tls.secureServer(server, source)
export { running }

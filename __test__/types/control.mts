// What a consumer of countersign/control may write, and what not.
import { ControlClient, verifyLog, type Alert, type AgentStatus, type AuditReport } from 'countersign/control'
import { startAgent } from 'countersign/agent'

export async function operate(signal: AbortSignal): Promise<void> {
  const client = new ControlClient({ socketPath: '/run/c.sock', timeout: null, expectServer: { uid: 0 } })
  const status: AgentStatus = await client.status({ signal })
  const since: Date | undefined = status.killSwitch?.activated
  const lines: number | undefined = status.auditLog?.written
  const { persistent } = await client.kill({ reason: 'INC-1' })
  const report: AuditReport = await client.audit({ deep: true, timeout: 60_000 })
  // @ts-expect-error no such severity
  const none = report.findings.filter(({ severity }) => severity === 'WORST')
  for await (const alert of client.subscribe({ after: 7, signal })) use(alert)
  // @ts-expect-error a reason is a string
  await client.kill({ reason: 7 })
  // @ts-expect-error no such option
  client.subscribe({ afer: 7 })
  const { lastHash, clockWentBack } = await verifyLog('audit.jsonl', { keys: ['...'] })
  const agent = await startAgent({
    dev: true,
    control: { readers: [1001] },
    auditLog: { path: 'a', onFailure: 'continue' }
  })
  console.log(
    since,
    lines,
    persistent,
    none,
    lastHash.length,
    clockWentBack,
    agent.controlSocketPath,
    (await client.metrics()).length
  )
  client.close()
}

function use({ timestamp, severity, missed }: Alert): void {
  console.log(timestamp.getTime(), severity, missed)
}

// A workload: says who it is to whoever started it.
import { createRequire } from 'node:module'

const { WorkloadApiClient } = createRequire(import.meta.url)('..')
const svid = await new WorkloadApiClient().fetchX509Svid()
process.send?.(svid.spiffeId.uri)
process.disconnect?.()

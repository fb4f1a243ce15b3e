// A workload: says who it is to whoever started it.
import { WorkloadApiClient } from 'countersign'

const svid = await new WorkloadApiClient().fetchX509Svid()
process.send?.(svid.spiffeId.uri)
process.disconnect?.()

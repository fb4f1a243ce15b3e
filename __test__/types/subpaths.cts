// Every sub-path as a CommonJS module sees it. Compiled, never run.
import agent = require('countersign/agent')
import control = require('countersign/control')
import grpc = require('countersign/grpc')
import principal = require('countersign/principal')
import testing = require('countersign/testing')
import tls = require('countersign/tls')
import { X509Source } from 'countersign'

async function main(): Promise<principal.Principal | undefined> {
  const pretend: testing.TestAgent = await testing.startTestAgent()
  const running: agent.Agent = await agent.startAgent({ dev: true })
  const source = await X509Source.open({ endpoint: pretend.endpoint })
  const options = tls.clientOptions(source, tls.authorize.any())
  await new control.ControlClient().ping()
  await running.close()
  return Object.keys(grpc).length > 0 && options ? undefined : principal.Principal.parse('{}')
}

export = main

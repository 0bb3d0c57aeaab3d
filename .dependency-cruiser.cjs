// Imports point one way: test → services, k8s → workflows → core ← adapters, proto beside. Each rule says what to do instead.
const GENERATED_WITH_SERVICES = '^proto/gen/.*/(sampler|scorer|trainer|environment|control)[.]ts$';
const NPM = { dependencyTypes: ['npm', 'npm-dev', 'npm-optional', 'npm-peer', 'npm-bundled', 'npm-no-pkg', 'npm-unknown'] };

module.exports = {
  forbidden: [
    {
      name: 'no-cycle', severity: 'error',
      comment: 'These files import each other in a circle. Move what both need into the lower of the two, or into a file of its own.',
      from: {}, to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'core-stands-alone', severity: 'error',
      comment: 'core/ is what is true and knows nobody above it. Take the thing as an argument, or declare a port in core/ports.ts and implement it in services/adapters.',
      from: { path: '^core/' }, to: { path: '^(environments|workflows|services|k8s|deploy|test|kernels)/' },
    },
    {
      name: 'environments-import-core-only', severity: 'error',
      comment: 'An environment is a pure reducer over core\'s types. Move I/O into services and hand its result in as data.',
      from: { path: '^environments/' }, to: { path: '^(workflows|services|k8s|deploy|test|kernels)/' },
    },
    {
      name: 'pure-code-has-no-packages', severity: 'error',
      comment: 'core/ and environments/ use no npm package. Write the small part that is needed, or do it in services and pass the result in.',
      from: { path: '^(core|environments)/' }, to: NPM,
    },
    {
      name: 'pure-code-has-no-node', severity: 'error',
      comment: 'core/, environments/ and workflows/ do no I/O. Do it in services (an adapter or an activity) and pass the result in.',
      from: { path: '^(core|environments|workflows)/' }, to: { dependencyTypes: ['core'] },
    },
    {
      name: 'pure-code-sees-only-messages', severity: 'error',
      comment: 'A generated file with a gRPC service brings Node\'s types into a pure project and silently opens the fence. Import from proto/gen/…/events.ts or data.ts.',
      from: { path: '^(core|environments|workflows)/' }, to: { path: GENERATED_WITH_SERVICES },
    },
    {
      name: 'pure-code-takes-types-from-proto', severity: 'error',
      comment: 'Serialised messages are a service\'s business: write `import type` here, encode and decode in services.',
      from: { path: '^(core|environments|workflows)/' }, to: { path: '^proto/gen/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'workflows-import-core-only', severity: 'error',
      comment: 'Workflow code is replayed: it calls services through activity types in workflows/activities.ts, never directly.',
      from: { path: '^workflows/' }, to: { path: '^(environments|services|k8s|deploy|test|kernels)/' },
    },
    {
      name: 'workflows-use-two-packages', severity: 'error',
      comment: 'Only @temporalio/workflow and @temporalio/common may enter a workflow bundle. Do the rest in an activity.',
      from: { path: '^workflows/' }, to: { ...NPM, pathNot: 'node_modules/@temporalio/(workflow|common)/' },
    },
    {
      name: 'services-below-k8s', severity: 'error',
      comment: 'services/ run without a cluster. Move what both need into core/ or services/runtime.',
      from: { path: '^services/' }, to: { path: '^(k8s|deploy|test)/' },
    },
    {
      name: 'nothing-imports-tests', severity: 'error',
      comment: 'What ships does not import what tests. Move it out of test/.',
      from: { pathNot: '^test/' }, to: { path: '^test/' },
    },
    {
      name: 'adapters-know-ports-only', severity: 'error',
      comment: 'An adapter implements a port of core/ with runtime\'s tools and proto. It does not know the services that use it, nor the recipe\'s workflows.',
      from: { path: '^services/adapters/' }, to: { path: '^(services|workflows|environments)/', pathNot: '^services/(adapters|runtime)/' },
    },
    {
      name: 'runtime-below-services', severity: 'error',
      comment: 'services/runtime is what every service stands on. Pass the service-specific part in as an argument.',
      from: { path: '^services/runtime/' }, to: { path: '^services/', pathNot: '^services/(runtime|adapters)/' },
    },
    {
      name: 'kafkajs-in-one-file', severity: 'error',
      comment: 'kafkajs is unmaintained: only services/adapters/log/kafka-client.ts imports it, so that it can be replaced there; the benchmark measures against it.',
      from: { pathNot: '^(services/adapters/log/kafka-client[.]ts|test/support/kafka-bench[.]mjs)$' }, to: { path: 'node_modules/kafkajs/' },
    },
    {
      name: 'aws-sdk-in-one-file', severity: 'error',
      comment: 'Only services/adapters/blob/s3.ts imports the AWS SDK, and tests that reach behind the store: go through the BlobStore or BlobSweep port.',
      from: { pathNot: '^(services/adapters/blob/s3[.]ts$|test/)' }, to: { path: 'node_modules/@aws-sdk/' },
    },
    {
      name: 'sqlite-in-adapters', severity: 'error',
      comment: 'SQLite belongs to the log and blob adapters: go through the EventLog or BlobStore port.',
      from: { pathNot: '^(services/adapters|test)/' }, to: { path: 'node_modules/(better-sqlite3|@types/better-sqlite3)/' },
    },
    {
      name: 'declared-packages-only', severity: 'error',
      comment: 'This package is not in package.json (or only a development dependency): name it there before shipping code that needs it.',
      from: { path: '^(core|environments|workflows|services|k8s|proto)/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'not-to-unresolvable', severity: 'error',
      comment: 'This import leads nowhere: correct the path, or run `npm run gen` if it is generated code.',
      // dist/ is compiled beside this check; a test that starts a child process names it.
      from: {}, to: { couldNotResolve: true, pathNot: '(^|/)dist/' },
    },
    {
      name: 'setup-needs-nothing', severity: 'error',
      comment: 'Set-up runs before anything is installed: Node\'s own library only.',
      from: { path: '^deploy/(setup/|check|tests/|stemma|run-tests)' }, to: { ...NPM },
    },
  ],
  options: {
    doNotFollow: { path: ['node_modules', '^proto/gen'] },
    exclude: { path: ['^dist/', '^kernels/'] },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.base.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'require', 'node', 'default', 'types'] },
  },
};

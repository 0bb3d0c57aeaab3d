// What tsc cannot see: clocks and dice in pure code, forgotten promises, sizes that grow. Every message says what to do instead.
import tseslint from 'typescript-eslint';
import { builtinRules } from 'eslint/use-at-your-own-risk';

const PURE = ['core/**/*.ts', 'environments/**/*.ts', 'workflows/**/*.ts'];
const TYPED = ['{core,environments,workflows,services,k8s,test}/**/*.ts', 'deploy/*.mjs', 'deploy/{setup,cluster,check,tests}/**/*.mjs', 'deploy/observability/**/*.ts'];

const impure = [
  ['Date', 'now', 'Time is data here: take it from the event or command.'],
  ['Math', 'random', 'Randomness is data here: derive it from a seed that the command carries.'],
  ['performance', 'now', 'Time is data here: take it from the event or command.'],
].map(([object, property, message]) => ({ object, property, message }));

const processEnv = { object: 'process', property: 'env', message: 'Only services/runtime/config.ts reads the environment: take the setting from its Config.' };
const exportAll = { selector: 'ExportAllDeclaration', message: 'No barrels: import from the file that declares the thing, export by name.' };
const newDate = {
  selector: ":matches(NewExpression, CallExpression)[callee.name='Date'][arguments.length=0]",
  message: 'Time is data here: take it from the event or command.',
};

/** A rule switched off must say why: `eslint-disable-next-line rule -- reason`. */
const reasons = {
  meta: { type: 'problem', schema: [], messages: { missing: 'Name the rule and give the reason: eslint-disable-next-line RULE -- REASON' } },
  create: (context) => ({
    Program() {
      for (const comment of context.sourceCode.getAllComments()) {
        if (/^\s*eslint-disable/.test(comment.value) && !/^\s*eslint-disable\S*\s+[\w@/-]+.*\s--\s+\S/s.test(comment.value)) {
          context.report({ loc: comment.loc, messageId: 'missing' });
        }
      }
    },
  }),
};

export default tseslint.config(
  { ignores: ['dist/**', 'proto/gen/**', 'node_modules/**', 'kernels/**', '.stemma/**', 'deploy/lab/**'] },
  {
    files: TYPED,
    extends: [tseslint.configs.recommended],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    plugins: { stemma: { rules: { reasons, 'long-file': builtinRules.get('max-lines') } } },
    rules: {
      '@typescript-eslint/consistent-type-imports': ['error', { disallowTypeAnnotations: false }],
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_', caughtErrorsIgnorePattern: '^_' }],
      // A switch over payload kinds counts once: folds are tables.
      complexity: ['error', { max: 12, variant: 'modified' }],
      eqeqeq: 'error',
      'max-lines': ['error', { max: 400 }],
      'stemma/long-file': ['warn', { max: 300 }],
      'max-lines-per-function': ['error', { max: 50, skipBlankLines: true, skipComments: true, IIFEs: true }],
      'max-params': ['error', 4],
      'no-restricted-syntax': ['error', exportAll],
      'no-restricted-properties': ['error', processEnv],
      'stemma/reasons': 'error',
    },
  },
  {
    files: PURE,
    rules: {
      'no-restricted-syntax': ['error', exportAll, newDate],
      'no-restricted-properties': ['error', processEnv, ...impure],
    },
  },
  { files: ['services/runtime/config.ts'], rules: { 'no-restricted-properties': 'off' } },
  // Tests and set-up are edges of their own.
  { files: ['test/**/*.ts', 'deploy/**/*.mjs'], rules: { 'no-restricted-properties': 'off' } },
  { files: ['test/**/*.ts'], rules: { 'max-lines-per-function': 'off', 'max-lines': ['error', { max: 600 }] } },
);

/** Temporal's UI as a person uses it: its forms, its tabs, in a real browser. Written against UI 2.42. */
import { join } from 'node:path';
import type { Browser, Locator, Page } from 'playwright-core';

/** Beside busy neighbours a page takes long. */
const PATIENCE_MS = 90_000;

export interface TemporalUi {
  readonly page: Page;
  /** "Start Workflow"; ends on the page of the workflow. */
  start(form: { readonly id: string; readonly queue: string; readonly type: string; readonly input: object }): Promise<void>;
  /** "Send an Update" from the menu of the workflow that is open. Answers '' once it was taken, or the refusal that the form shows. */
  update(name: string, input?: object): Promise<string>;
  /** "Current Details" under "User Metadata", loaded anew. */
  details(): Promise<string>;
  /** The answer under "Queries". */
  query(name: string): Promise<string>;
  /** Of the workflow that is open, e.g. "relationships". */
  tab(name: string): Promise<void>;
  picture(name: string): Promise<void>;
  close(): Promise<void>;
}

/** `pictures`: a folder; '' for none. */
export async function openTemporalUi(browser: Browser, address: string, pictures: string): Promise<TemporalUi> {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  page.setDefaultTimeout(PATIENCE_MS);
  let workflow = '';
  const tab = async (name: string): Promise<void> => void await page.goto(`${workflow}/${name}`);
  const picture = async (name: string): Promise<void> => void (pictures !== '' && await page.screenshot({ path: join(pictures, `${name}.png`) }));
  return {
    page, tab, picture,
    async start({ id, queue, type, input }) {
      await page.goto(`${address}/namespaces/default/workflows/start-workflow`);
      await page.getByLabel('Workflow ID').fill(id);
      await page.getByLabel('Task Queue').fill(queue);
      await page.getByLabel('Workflow Type').fill(type);
      await typeJson(page, page.locator('main'), input);
      await picture('start');
      await page.getByTestId('start-workflow-button').click();
      await page.getByRole('link', { name: 'Workflow started successfully' }).click();
      await page.waitForURL(`**/workflows/${id}/*/history`);
      workflow = page.url().replace(/\/history.*$/, '');
    },
    async update(name, input) {
      await page.getByRole('button', { name: 'More Actions' }).first().click();
      await page.getByRole('menuitem', { name: 'Send an Update' }).click();
      const form = page.getByRole('dialog').filter({ hasText: 'Send an Update' });
      await form.getByTestId('update-select-button').click();
      await page.getByRole('option', { name: new RegExp(`^${name}\\b`) }).click();
      if (input !== undefined) {
        await typeJson(page, form, input);
        await picture(`update-${name}`);
      }
      const answered = page.waitForResponse((response) => response.request().method() === 'POST' && response.url().includes(`/update/${name}`));
      await form.getByRole('button', { name: 'Submit' }).click();
      return refusalIn(await (await answered).json());
    },
    async details() {
      await tab('user-metadata');
      const frame = page.frameLocator('iframe').last();
      return frame.locator('body').innerText();
    },
    async query(name) {
      await tab('query');
      await page.locator('#query-select, [data-testid="query-select-button"]').first().click();
      await page.getByRole('option', { name: new RegExp(`^${name}\\b`) }).click();
      await page.getByRole('button', { name: 'Run Query' }).click();
      await page.locator('.cm-content').last().getByText('{').first().waitFor();
      return page.locator('.cm-content').last().innerText();
    },
    close: () => page.close(),
  };
}

async function typeJson(page: Page, within: Locator, value: object): Promise<void> {
  await within.locator('.cm-content').last().click();
  await page.keyboard.insertText(JSON.stringify(value));
  // The editor formats what was typed once it loses the focus, which moves the buttons: not in the middle of a click on one.
  await within.locator('.cm-content').last().blur();
}

function refusalIn(answer: { readonly outcome?: { readonly failure?: { readonly message?: string } }; readonly message?: string }): string {
  return answer.outcome?.failure?.message ?? answer.message ?? '';
}

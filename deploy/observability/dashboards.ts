/** All dashboards as the files that Grafana reads. Made by `npm run dashboards`; a test holds files and sources together. */
import { dashboardOf } from './dashboard.js';
import { controlPlane } from './dashboards/control-plane.js';
import { learning } from './dashboards/learning.js';
import { log } from './dashboards/log.js';
import { machines } from './dashboards/machines.js';
import { rollouts } from './dashboards/rollouts.js';
import { runs } from './dashboards/runs.js';
import { teachers } from './dashboards/teachers.js';

export const DASHBOARDS = [runs, learning, rollouts, teachers, log, controlPlane, machines].map((spec) => ({ name: spec.name, dashboard: dashboardOf(spec) }));

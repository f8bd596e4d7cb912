export { type Contents, contentsOf, type Times, timesOf } from './estimate.ts';
export { ScalingSignal, type Signal, type SignalOptions, type Signals, signalOf } from './signal.ts';
export { kindOf, SpeedBook, SpeedFact, type Speeds, sweepSpeeds, writeSpeed } from './speeds.ts';
export { type Demand, type Scaling, workersWanted } from './wanted.ts';
export { type LaneWork, WorkBook } from './work.ts';

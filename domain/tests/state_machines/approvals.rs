//! What is tried with approval requests.

use domain::actor::StaffRole;
use domain::approval::{ApprovalCommand as C, ApprovalRequest, Proposed, Rule, Strength};
use domain::event::DomainEvent;
use domain::id::{ApprovalId, ContractId, EventId};

use super::explore::{Found, Tried, explore, id};

pub fn approval() -> Found {
    let command = Proposed::UnfreezeEscrow { contract_id: ContractId::from_uuid(id(3)) };
    let (acr, payload_digest) = (Strength::Password, command.digest().unwrap());
    let request = |approvers| C::Request {
        approval_id: ApprovalId::from_uuid(id(40)),
        command: command.clone(),
        rule: Rule { approvers, roles: vec![StaffRole::Admin], hours: 72 },
        acr,
    };
    let tried = |approvers| {
        let commands = vec![
            request(approvers),
            C::Approve { acr },
            C::Consume { event_id: EventId::from_uuid(id(41)), payload_digest: payload_digest.clone() },
            C::Fail { code: "escrow_not_frozen".to_owned() },
            C::Reject { acr },
            C::Withdraw,
            C::Lapse,
        ];
        explore::<ApprovalRequest>(&Tried { commands, notes: Vec::new(), wrap: DomainEvent::Approval })
    };
    // Where one is enough, and where one is not.
    tried(1).and(tried(2))
}
